package proc

import (
	"os"
	"path/filepath"
)

// secretPlaces hold credentials, below the user's home. They are shown only
// when a Read names them.
func secretPlaces() []string {
	return []string{
		".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".netrc", ".git-credentials", ".pgpass", ".pypirc",
		".config/gcloud", ".config/gh", ".config/git/credentials", ".config/op", ".local/share/keyrings", ".cargo/credentials.toml",
	}
}

// secrets covers the stores of credentials that exist.
func (p *plan) secrets() {
	if p.user == "" {
		return
	}
	for _, rel := range secretPlaces() {
		path, err := filepath.EvalSymlinks(filepath.Join(p.user, rel))
		if err != nil || p.covered(path) || within(p.dir, path) {
			continue
		}
		st, err := os.Stat(path)
		switch {
		case err != nil:
		case st.IsDir():
			p.empty(path, 0o700)
		default:
			p.show(os.DevNull, path)
		}
	}
}
