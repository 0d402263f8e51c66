//go:build wasip1

package sdk

import "encoding/json"

//go:wasmimport extism:host/user astrid_elicit
func elicit(request uint64) uint64

//go:wasmimport extism:host/user astrid_has_secret
func hasSecret(request uint64) uint64

// What runs when the capsule is installed, and when another version takes the place
// of one.
var (
	install func() error
	upgrade func(from string) error
)

// Install runs when the capsule is installed, once somebody has agreed to it: it asks
// for what the capsule needs, with the functions that begin with Ask, and stores it.
// With an error the capsule is not installed, and nothing is stored.
func Install(f func() error) { install = f }

// Upgrade runs when another version of the capsule, from, is there already.
func Upgrade(f func(from string) error) { upgrade = f }

//go:wasmexport astrid_install
func runInstall() int32 {
	if install == nil {
		return 0
	}
	return answer(nil, install())
}

//go:wasmexport astrid_upgrade
func runUpgrade() int32 {
	if upgrade == nil {
		return 0
	}
	var in struct {
		From string `json:"prev_version"`
	}
	data := input()
	if json.Unmarshal(data, &in) != nil {
		in.From = string(data)
	}
	return answer(nil, upgrade(in.From))
}

// AskText asks for a text, only within Install and Upgrade, like the other functions
// that begin with Ask: when nobody answers the call ends, and the hook has failed.
func AskText(key, about, suggestion string) string {
	request := map[string]any{"type": "text", "key": key, "description": about}
	if suggestion != "" {
		request["default"] = suggestion
	}
	return ask(request).Value
}

// AskChoice asks for one of several texts.
func AskChoice(key, about string, options ...string) string {
	return ask(map[string]any{"type": "select", "key": key, "description": about, "options": options}).Value
}

// AskList asks for texts.
func AskList(key, about string) []string {
	return ask(map[string]any{"type": "array", "key": key, "description": about}).Values
}

// AskSecret asks for a secret, which is kept and not told. HasSecret knows of it;
// with an [env.KEY] of the type secret in the manifest, Config reads it.
func AskSecret(key, about string) {
	ask(map[string]any{"type": "secret", "key": key, "description": about})
}

// HasSecret tells whether a secret is kept.
func HasSecret(key string) bool {
	var out struct {
		Exists bool `json:"exists"`
	}
	decode(take(hasSecret(block(encode(map[string]string{"key": key})))), &out)
	return out.Exists
}

// asked is what people answered.
type asked struct {
	Value  string   `json:"value"`
	Values []string `json:"values"`
}

func ask(request map[string]any) (out asked) {
	decode(take(elicit(block(encode(request)))), &out)
	return out
}
