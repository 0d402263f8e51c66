//go:build race

package commit_test

// under the race detector, programs start slowly: the matrix takes every fourth
// point of each kind, another one in each, and all of them without it.
const stride = 4
