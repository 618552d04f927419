package smb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// greetLimit is how long a server may take to answer a greeting before the kernel is asked all the same.
const greetLimit = time.Second

// The first bytes of an SMB message behind its length: MS-SMB2 2.2.1.1, MS-SMB 2.2.3.1.
const (
	magicSMB2 = "\xfeSMB"
	magicSMB1 = "\xffSMB"
)

// greeting is an SMB2 NEGOTIATE (MS-SMB2 2.2.3) that offers 2.0.2, 2.1, 3.0 and 3.0.2.
func greeting() []byte {
	dialects := []uint16{0x0202, 0x0210, 0x0300, 0x0302}
	header := make([]byte, 64)
	copy(header, magicSMB2)
	binary.LittleEndian.PutUint16(header[4:], 64)  // the header's size
	binary.LittleEndian.PutUint16(header[14:], 31) // credits
	body := make([]byte, 36, 36+2*len(dialects))
	binary.LittleEndian.PutUint16(body, 36) // the structure's size
	binary.LittleEndian.PutUint16(body[2:], uint16(len(dialects)))
	binary.LittleEndian.PutUint16(body[4:], 1) // signing is known
	for _, dialect := range dialects {
		body = binary.LittleEndian.AppendUint16(body, dialect)
	}
	length := binary.BigEndian.AppendUint32(nil, uint32(len(header)+len(body)))
	return append(append(length, header...), body...)
}

// greet refuses a server that speaks no SMB 2: the kernel would need 6 s for that, and say the same as of one that hangs. A server
// that says nothing is left to the kernel, which has more patience.
func (b *Backend) greet(ctx context.Context, s share, address netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	connection, err := b.dial(ctx, "tcp", net.JoinHostPort(address.String(), s.port))
	if err != nil {
		return nil // it answered a moment ago: the kernel finds out
	}
	defer func() { _ = connection.Close() }()
	end := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer end()
	answer := make([]byte, 8)
	if _, err = connection.Write(greeting()); err == nil {
		_, err = io.ReadFull(connection, answer)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil && string(answer[4:]) == magicSMB1:
		return &backend.Failure{Err: errOld, Text: fmt.Sprintf("%s: the server %s speaks only SMB 1, which is insecure: enable SMB 3 on it", s.device, s.server)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &backend.Failure{Away: true, Err: errOld, Text: fmt.Sprintf("%s: the server %s ends the connection when SMB 2 is spoken to it: its SMB service is "+
			"just being started, speaks only SMB 1 (enable SMB 3 on it), or does not allow this node's address", s.device, s.server)}
	}
	return nil
}

// errOld says that a server has nothing to say to SMB 2.
var errOld = errors.New("no SMB 2")
