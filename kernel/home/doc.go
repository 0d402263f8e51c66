// Package home knows where everything under Astrid's home lies, makes the
// directories, and replaces small files so that a power cut leaves the old or
// the new.
//
//	HOME                            0700
//	├── sessions/                   0700
//	│   ├── system.sock .token .ready .lock   0600
//	│   ├── ctl/                    mount point of the control tree
//	│   └── NAME/                   0700, one session
//	│       ├── workspace/          mount point of the view
//	│       ├── forks/NAME          links to the views of the session's forks
//	│       ├── at/                 mount point of its checkpoints
//	│       ├── base -> DIR
//	│       └── ctl -> ../ctl/sessions/NAME
//	├── tmp/NAME/                   0700, a session's state
//	│   ├── session.json view.sock view.lock view.nonce   0600
//	│   ├── layers/ meta/ journal/  what the view server keeps
//	│   └── cache/                  caches of commands run in the session
//	├── state.db/ audit.db/         0700, the stores of the kernel
//	├── audit/                      0700, what was moved out of audit.db, 0600 each
//	├── keys/runtime.key            0600, what the kernel signs with
//	├── config.toml                 what people configure
//	├── cache/                      0700, machine code of capsules
//	├── logs/ capsules/ shared/
//
// # Contract
//
// Directories and files are made with their final mode, so that there is no
// moment at which somebody else may enter. A home that belongs to somebody else
// or that others may write is refused. Nothing in here looks into a mount
// point: a dead mount must not hang whoever makes a home.
//
// A Home is a value; its methods do not change it and are safe for concurrent use.
package home
