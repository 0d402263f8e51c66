// Package wire holds the frames that Astrid's processes exchange and the JSON
// types inside them. It is a leaf: it knows no socket and no service.
//
// # Frames
//
// A frame is a big-endian u32 length followed by that many bytes of UTF-8 JSON.
// Lengths are checked against a limit before anything is allocated, and memory
// grows only with the bytes that arrive. A frame is written with one Write, so
// that a reader who is interrupted between two reads never sees half a header
// more often than the kernel of the machine forces it to. A frame of length
// zero is legal, says nothing and is skipped by every reader of messages.
//
//	handshake           4096 bytes, both ways
//	message to kernel   10 MiB
//	message to client   50 MiB
//
// # JSON
//
// Decode ignores unknown names, refuses duplicate names, wrong types, invalid
// UTF-8 and anything after the value, and is case-sensitive. Encode never
// fails on text that is not UTF-8 (file names in sentences): it replaces the
// offending bytes. What must survive exactly travels as base64 beside the text:
// see Paths and Change.PathB64.
//
// # Messages
//
// After the handshake each frame is one Message. An operation is a Message on
// topic astrid.v1.request.ID whose payload is {"type":"raw_json","method":M,
// "params":{…}}; its answer comes on astrid.v1.response.ID as {"type":
// "raw_json","status":S,"data":D}, with "code" (a fault code) when S is
// "Error" and "seq" when S is "Chunk".
package wire
