// Package storetest opens stores for tests. Every store it opened is checked
// when its test ends.
package storetest
