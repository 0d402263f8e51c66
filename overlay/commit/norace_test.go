//go:build !race

package commit_test

const stride = 1
