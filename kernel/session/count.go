package session

import "strconv"

// counted says a number of changes in words.
func counted(n int) string {
	if n == 1 {
		return "1 change"
	}
	return strconv.Itoa(n) + " changes"
}
