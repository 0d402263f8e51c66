// Package check examines the changes of a session as they lie on disk: the
// chain of layers, every record of their logs, the data files and what else is
// in the directory. It opens everything for reading only and repairs nothing.
//
// # Contract
//
// Nobody writes to the directory meanwhile: it is the checker of a session that
// is down, and of every test of package overlay at its end.
//
// A Report tells two things apart. A finding is a broken invariant: a defect, or
// a damaged disk. A leftover is what a process that was killed may leave and the
// next opening of the session takes away: a torn tail of a log, a log or a data
// file that nothing names, a temporary file. After a clean close there are none.
//
// Journals examines the directory of a session's commits, which lies elsewhere.
//
// The base is not looked at, so nothing is said about what it should hold.
package check
