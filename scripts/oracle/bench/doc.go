// Command bench measures guests in our engine beside the Extism SDK, and a tool of an
// MCP server in kernel/capsule/mcp beside the official SDK alone.
//
//	scripts/bench/run --only '^capsule:' --rounds 5
//
// In each round every system is measured once, in an order that rotates; the table has
// the medians of the rounds. What both do is the same work with the same guest, made
// with Extism's own development kit; what they promise is not the same: ours counts a
// guest's time and memory, and ends it within a deadline and a budget.
package main
