package mountertest

import (
	"io"
	"net"
)

// Serve is a connection to an SMB server that answers every message with the first bytes of an answer of SMB 2, and ends with its
// client.
func Serve() net.Conn { return ServeWith("\x00\x00\x00\x04\xfeSMB") }

// ServeWith is a connection to a server that answers a message with some bytes, or ends the connection when there are none.
func ServeWith(answer string) net.Conn {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		message := make([]byte, 4<<10)
		for {
			if _, err := server.Read(message); err != nil || answer == "" {
				return
			}
			if _, err := io.WriteString(server, answer); err != nil {
				return
			}
		}
	}()
	return client
}
