// Package idle notices that nobody needs the kernel any more.
//
// It looks every Interval, after a Grace from the boot. When nothing has needed
// the kernel for Timeout, it tries to retire what still runs; when something
// refuses (a program works in a view), that is a need like any other, and the
// next try comes after Timeout again, doubled each time up to MaxPause.
//
// Needs are looked at when they are looked for, and not counted up and down, so
// that nothing can leak (defect D2 of 0.2).
package idle
