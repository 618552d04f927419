// Package remote runs commands, places files and opens connections on the other side of one byte
// stream. The lab speaks it with the agent in every guest, over a virtio serial port, and with the
// agent that is the first process of the host-side box (package box), over a pipe.
//
// A serial port instead of TCP: a test that cuts a node's network still has to ask that node what
// it sees, and the nodes' network then carries nothing but what is being tested.
//
// # Wire format
//
// The stream is divided into independent streams by yamux. On each, the client sends one request
// frame (JSON), then input frames; the server answers with output and error frames and ends with
// one status frame (JSON). A frame is one byte of kind, four bytes of length (big-endian) and the
// payload. An empty input frame means end of input. A client that goes away before the status frame
// cancels its command: the server kills the command's process group. After the status frame of a
// dial request the stream carries the connection's bytes as they are.
//
// # When not to use it
//
// There is no authentication and no version: both ends are built from one tree, and whoever holds
// the byte stream is root on the other side. It is for the lab alone.
package remote
