// Package readme holds the tests of what README says: its first screen is run as
// it stands, and the verbs that it lists are those of the program.
package readme
