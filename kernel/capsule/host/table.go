package host

import (
	"context"
	"strconv"

	"astrid/kernel/fault"
)

// Kind is what a function returns to the guest.
type Kind uint8

// The kinds: nothing, the offset of a block of bytes, or a plain integer.
const (
	Nothing Kind = iota
	Block
	Integer
)

// Func is one host function. Its arguments are blocks of bytes of at most the
// length that Args says.
type Func struct {
	Name   string
	Args   []int
	Result Kind
	Call   func(ctx context.Context, clock Clock, args [][]byte) ([]byte, error)
}

// Limits of arguments, in bytes.
const (
	maxPayload = 10 << 20
	maxPath    = 4 << 10
	maxLog     = 64 << 10
	maxHook    = 1 << 20
	maxSmall   = 1 << 10
	maxNumber  = 32
)

// Functions are the 48, in the order of their indexes.
func (h *Host) Functions() []Func {
	all := h.functions()
	for i, f := range all {
		all[i].Call = func(ctx context.Context, clock Clock, args [][]byte) ([]byte, error) {
			out, err := f.Call(ctx, clock, args)
			h.noteRefused(ctx, f.Name, err)
			return out, err
		}
	}
	return all
}

// noteRefused tells of an error that says what the capsule may not.
func (h *Host) noteRefused(ctx context.Context, function string, err error) {
	if h.Refused != nil && fault.Is(err, fault.Denied) {
		h.Refused(ctx, function, err)
	}
}

func (h *Host) functions() []Func {
	path, big := []int{maxPath}, []int{maxPath, maxPayload}
	number := []int{maxNumber}
	return []Func{
		{"astrid_fs_exists", path, Block, h.fsExists},
		{"astrid_fs_mkdir", path, Nothing, h.fsMkdir},
		{"astrid_fs_readdir", path, Block, h.fsReaddir},
		{"astrid_fs_stat", path, Block, h.fsStat},
		{"astrid_fs_unlink", path, Nothing, h.fsUnlink},
		{"astrid_read_file", path, Block, h.readFile},
		{"astrid_write_file", big, Nothing, h.writeFile},
		{"astrid_ipc_publish", big, Nothing, h.ipcPublish},
		{"astrid_ipc_subscribe", path, Block, h.ipcSubscribe},
		{"astrid_ipc_unsubscribe", number, Nothing, h.ipcUnsubscribe},
		{"astrid_ipc_poll", number, Block, h.ipcPoll},
		{"astrid_ipc_recv", []int{maxNumber, maxNumber}, Block, h.ipcRecv},
		{"astrid_uplink_register", []int{maxSmall, maxSmall, maxSmall}, Block, h.uplinkRegister},
		{"astrid_uplink_send", []int{maxSmall, 512, 1 << 20}, Block, h.uplinkSend},
		{"astrid_kv_get", path, Block, h.kvGet},
		{"astrid_kv_set", big, Nothing, h.kvSet},
		{"astrid_kv_delete", path, Nothing, h.kvDelete},
		{"astrid_kv_list_keys", path, Block, h.kvList},
		{"astrid_kv_clear_prefix", path, Block, h.kvClear},
		{"astrid_get_config", path, Block, h.getConfig},
		{"astrid_get_caller", nil, Block, h.getCaller},
		{"astrid_http_request", []int{maxPayload}, Block, h.httpRequest},
		{"astrid_trigger_hook", []int{maxHook}, Block, h.triggerHook},
		{"astrid_log", []int{maxSmall, maxLog}, Nothing, h.log},
		{"astrid_cron_schedule", []int{maxSmall, maxSmall, maxSmall}, Nothing, h.cronSchedule},
		{"astrid_cron_cancel", []int{maxSmall}, Nothing, h.cronCancel},
		{"astrid_spawn_host", []int{maxPayload}, Block, h.spawn},
		{"astrid_net_bind_unix", path, Integer, h.noConnections},
		{"astrid_net_accept", path, Block, h.noConnections},
		{"astrid_net_read", number, Block, h.noConnections},
		{"astrid_net_write", []int{maxNumber, maxPayload}, Nothing, h.noConnections},
		{"astrid_elicit", []int{maxPayload}, Block, h.elicit},
		{"astrid_has_secret", []int{maxPath}, Block, h.hasSecret},
		{"astrid_signal_ready", nil, Nothing, h.signalReady},
		{"astrid_clock_ms", nil, Block, h.clockMS},
		{"astrid_get_interceptor_handles", nil, Block, h.interceptorHandles},
		{"astrid_request_approval", []int{maxPath}, Block, h.requestApproval},
		{"astrid_identity_resolve", []int{maxPath}, Block, h.identityResolve},
		{"astrid_identity_link", []int{maxPath}, Block, h.identityLink},
		{"astrid_identity_unlink", []int{maxPath}, Block, h.identityUnlink},
		{"astrid_identity_create_user", []int{maxPath}, Block, h.identityCreate},
		{"astrid_identity_list_links", []int{maxPath}, Block, h.identityLinks},
		{"astrid_check_capsule_capability", []int{maxSmall}, Block, h.checkCapability},
		{"astrid_spawn_background_host", []int{maxPayload}, Block, h.spawnBackground},
		{"astrid_read_process_logs_host", []int{256}, Block, h.readProcess},
		{"astrid_kill_process_host", []int{256}, Block, h.killProcess},
		{"astrid_net_close_stream", number, Nothing, h.closeStream},
		{"astrid_net_poll_accept", path, Block, h.pollAccept},
	}
}

// The kernel accepts connections itself; a capsule never holds one.

func (h *Host) noConnections(context.Context, Clock, [][]byte) ([]byte, error) {
	return nil, fault.New(fault.Unsupported, "the kernel accepts connections itself: a capsule hears clients on the bus")
}

func (h *Host) closeStream(context.Context, Clock, [][]byte) ([]byte, error) { return nil, nil }

func (h *Host) pollAccept(context.Context, Clock, [][]byte) ([]byte, error) { return nil, nil }

// number reads a decimal argument.
func number(text []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, fault.New(fault.Usage, "%.40q is no handle", text)
	}
	return n, nil
}
