package commit

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"astrid/overlay/change"
)

// protectedGlobs are names that make a program run something, or that hold
// secrets: a commit takes them along only when they are named.
func protectedGlobs() []string {
	return []string{
		".astrid", ".astrid/**",
		"**/.gitmodules",
		"**/.husky", "**/.husky/**",
		"**/.envrc", "**/.env*",
		"**/.vscode/tasks.json",
		"**/.ssh/**", "**/.gnupg/**", "**/.netrc",
		"**/id_rsa*", "**/id_dsa*", "**/id_ecdsa*", "**/id_ed25519*",
		"**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/*.crt", "**/*.cer", "**/*.der",
		"**/*.jks", "**/*.keystore", "**/*.kdbx",
	}
}

// protectedInGit are paths below a .git directory that run something or point
// elsewhere.
func protectedInGit() []string {
	return []string{
		"hooks", "hooks/**", "config", "config.worktree", "info/attributes",
		"modules", "modules/**", "objects/info/alternates", "worktrees/*/gitdir", "commondir",
	}
}

// protected tells whether a path is one that a commit does not touch unless it
// is named. dir tells whether the object is a directory.
func protected(p string, dir bool) bool {
	if repo := change.Repository(p); repo != "" {
		if p == repo {
			return !dir // a file that says where the repository is
		}
		return anyMatch(protectedInGit(), strings.ToLower(p[len(repo)+1:]))
	}
	return anyMatch(protectedGlobs(), p)
}

func anyMatch(globs []string, p string) bool {
	for _, g := range globs {
		if doublestar.MatchUnvalidated(g, p) {
			return true
		}
	}
	return false
}
