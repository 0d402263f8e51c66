package kernel

import "strconv"

// counted is a number of things in words: "1 client", "2 clients".
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}
