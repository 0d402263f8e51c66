//go:build wasip1

package sdk

import (
	"encoding/json"
	"io/fs"
	"strconv"
	"time"
)

//go:wasmimport extism:host/user astrid_fs_exists
func fsExists(path uint64) uint64

//go:wasmimport extism:host/user astrid_fs_mkdir
func fsMkdir(path uint64)

//go:wasmimport extism:host/user astrid_fs_readdir
func fsReaddir(path uint64) uint64

//go:wasmimport extism:host/user astrid_fs_stat
func fsStat(path uint64) uint64

//go:wasmimport extism:host/user astrid_fs_unlink
func fsUnlink(path uint64)

//go:wasmimport extism:host/user astrid_read_file
func readFile(path uint64) uint64

//go:wasmimport extism:host/user astrid_write_file
func writeFile(path, data uint64)

//go:wasmimport extism:host/user astrid_ipc_publish
func ipcPublish(topic, payload uint64)

//go:wasmimport extism:host/user astrid_ipc_subscribe
func ipcSubscribe(pattern uint64) uint64

//go:wasmimport extism:host/user astrid_ipc_unsubscribe
func ipcUnsubscribe(handle uint64)

//go:wasmimport extism:host/user astrid_ipc_recv
func ipcRecv(handle, timeout uint64) uint64

//go:wasmimport extism:host/user astrid_uplink_register
func uplinkRegister(name, platform, profile uint64) uint64

//go:wasmimport extism:host/user astrid_uplink_send
func uplinkSend(uplink, user, content uint64) uint64

//go:wasmimport extism:host/user astrid_kv_get
func kvGet(key uint64) uint64

//go:wasmimport extism:host/user astrid_kv_set
func kvSet(key, value uint64)

//go:wasmimport extism:host/user astrid_kv_delete
func kvDelete(key uint64)

//go:wasmimport extism:host/user astrid_kv_list_keys
func kvList(prefix uint64) uint64

//go:wasmimport extism:host/user astrid_get_config
func getConfig(key uint64) uint64

//go:wasmimport extism:host/user astrid_get_caller
func getCaller() uint64

//go:wasmimport extism:host/user astrid_http_request
func httpRequest(request uint64) uint64

//go:wasmimport extism:host/user astrid_log
func logLine(level, text uint64)

//go:wasmimport extism:host/user astrid_spawn_host
func spawnHost(request uint64) uint64

//go:wasmimport extism:host/user astrid_signal_ready
func signalReady()

//go:wasmimport extism:host/user astrid_request_approval
func requestApproval(request uint64) uint64

// Exists tells whether there is a file or directory.
func Exists(path string) bool { return string(take(fsExists(text(path)))) == "true" }

// Mkdir makes a directory and those above it.
func Mkdir(path string) { fsMkdir(text(path)) }

// missing is the error of what is not there: fs.ErrNotExist.
func missing(op, path string) error {
	if Exists(path) {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// Readdir lists the names in a directory, in no order. What is not there is an
// error; what is no directory ends the call.
func Readdir(path string) (names []string, err error) {
	if err := missing("readdir", path); err != nil {
		return nil, err
	}
	decode(take(fsReaddir(text(path))), &names)
	return names, nil
}

// FileInfo is what Stat tells.
type FileInfo struct {
	Size  int64 `json:"size"`
	IsDir bool  `json:"isDir"`
	MTime int64 `json:"mtime"` // in seconds since 1970
}

// Stat describes a file, directory or link. What is not there is an error.
func Stat(path string) (info FileInfo, err error) {
	if err := missing("stat", path); err != nil {
		return info, err
	}
	decode(take(fsStat(text(path))), &info)
	return info, nil
}

// Remove removes a file or an empty directory; when there is none, or it is not
// empty, that ends the call.
func Remove(path string) { fsUnlink(text(path)) }

// ReadFile reads a file of at most 10 MiB. What is not there is an error; what is
// larger, or a directory, ends the call.
func ReadFile(path string) ([]byte, error) {
	if err := missing("read", path); err != nil {
		return nil, err
	}
	return take(readFile(text(path))), nil
}

// WriteFile makes a file of these bytes, or replaces its content. It makes no
// directory: without the one that the file is to be in the call ends, and Mkdir
// makes it.
func WriteFile(path string, data []byte) { writeFile(text(path), block(data)) }

// Publish puts a message on a topic; payload is encoded as JSON.
func Publish(topic string, payload any) { ipcPublish(text(topic), block(encode(payload))) }

// Message is one message of a subscription.
type Message struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	Source  string          `json:"source_id"`
}

// Subscription hears messages, for capsules with a loop.
type Subscription string

// Subscribe hears the topics that match a pattern.
func Subscribe(pattern string) Subscription {
	return Subscription(take(ipcSubscribe(text(pattern))))
}

// Receive waits for messages, at most for a minute and for timeout. lost is how
// many this subscription has missed.
func (s Subscription) Receive(timeout time.Duration) (messages []Message, lost int) {
	var out struct {
		Messages []Message `json:"messages"`
		Dropped  int       `json:"dropped"`
		Lagged   int       `json:"lagged"`
	}
	decode(take(ipcRecv(text(string(s)), text(strconv.FormatInt(timeout.Milliseconds(), 10)))), &out)
	return out.Messages, out.Dropped + out.Lagged
}

// Close ends the subscription.
func (s Subscription) Close() { ipcUnsubscribe(text(string(s))) }

// Uplink is a connection to a platform, such as a chat, that the capsule holds.
type Uplink string

// RegisterUplink says that there is one, once for each name and platform: it is
// for a capsule with a loop, whose manifest has capabilities.uplink or an [[uplink]].
// profile is chat, interactive, notify or bridge.
func RegisterUplink(name, platform, profile string) Uplink {
	return Uplink(take(uplinkRegister(text(name), text(platform), text(profile))))
}

// Send says on uplink.v1.inbound what a user of the platform said, on behalf of the
// user whose account that is. It is false when nobody could be told.
func (u Uplink) Send(user, content string) bool {
	var out struct {
		OK bool `json:"ok"`
	}
	decode(take(uplinkSend(text(string(u)), text(user), text(content))), &out)
	return out.OK
}

// Get reads a value of the capsule's own; nil when there is none.
func Get(key string) []byte {
	data := take(kvGet(text(key)))
	if len(data) == 0 {
		return nil
	}
	var numbers []int
	decode(data, &numbers)
	value := make([]byte, len(numbers))
	for i, n := range numbers {
		value[i] = byte(n)
	}
	return value
}

// Set stores a value of the capsule's own.
func Set(key string, value []byte) { kvSet(text(key), block(value)) }

// Delete removes a value.
func Delete(key string) { kvDelete(text(key)) }

// Keys lists the keys that begin with a prefix, in order.
func Keys(prefix string) (keys []string) {
	decode(take(kvList(text(prefix))), &keys)
	return keys
}

// Config is what a person has set for an [env] key, or its default.
func Config(key string) (value string) {
	decode(take(getConfig(text(key))), &value)
	return value
}

// Caller is who a call is for; members are empty when they are not known.
type Caller struct {
	Principal string `json:"principal"` // id of the user
	Session   string `json:"session"`
	Source    string `json:"source_id"` // who published what the call is about
	Topic     string `json:"topic"`
}

// CalledBy tells who this call is for.
func CalledBy() (c Caller) {
	decode(take(getCaller()), &c)
	return c
}

// Request is an HTTP request.
type Request struct {
	URL     string            `json:"url"`
	Method  string            `json:"method,omitempty"` // default GET
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// Response is its answer.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"` // names in lower case
	Body    string            `json:"body"`
}

// HTTP makes a request to a host that the manifest names.
func HTTP(r Request) (resp Response) {
	decode(take(httpRequest(block(encode(r)))), &resp)
	return resp
}

// Log writes a line to the kernel's log: debug, info, warn or error.
func Log(level, line string) { logLine(text(level), text(line)) }

// Output is what a program left.
type Output struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Code   int    `json:"exit_code"` // -1 when a signal ended it
}

// Exec runs a program in a sandbox around the session's view.
func Exec(program string, args ...string) (out Output) {
	request := map[string]any{"cmd": program, "args": append([]string{}, args...)}
	decode(take(spawnHost(block(encode(request)))), &out)
	return out
}

// Approval asks a person, and waits: risk is low, medium, high or critical. The
// call's time limit does not run meanwhile.
func Approval(action, resource, risk string) (approved bool) {
	var out struct {
		Approved bool `json:"approved"`
	}
	request := map[string]string{"action": action, "resource": resource, "risk_level": risk}
	decode(take(requestApproval(block(encode(request)))), &out)
	return out.Approved
}

// Ready says that the loop of a capsule has begun; see package loop.
func Ready() { signalReady() }

func text(s string) uint64 { return block([]byte(s)) }

// encode and decode panic on what is no JSON: the host sends none, and a panic
// ends the call with its text.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("sdk: " + err.Error())
	}
	return data
}

func decode(data []byte, into any) {
	if len(data) == 0 {
		return
	}
	if err := json.Unmarshal(data, into); err != nil {
		panic("sdk: the host answered what is no JSON: " + err.Error())
	}
}
