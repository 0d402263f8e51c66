// Package arch holds the tests of the module's shape: who may import whom, and
// what no package may contain. A failure says which rule broke, where, and why
// the rule exists.
package arch
