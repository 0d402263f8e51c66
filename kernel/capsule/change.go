package capsule

import "github.com/Masterminds/semver/v3"

// Change says what an installation does with the version that was there: empty
// when there was none.
type Change string

// The changes.
const (
	Upgrade   Change = "upgrade"
	Downgrade Change = "downgrade"
	Same      Change = "same" // the version, whatever its content
)

// changeOf compares two versions.
func changeOf(from, to string) Change {
	a, err := semver.NewVersion(from)
	if err != nil {
		return Upgrade
	}
	b, err := semver.NewVersion(to)
	if err != nil {
		return Upgrade
	}
	switch b.Compare(a) {
	case 0:
		return Same
	case -1:
		return Downgrade
	}
	return Upgrade
}
