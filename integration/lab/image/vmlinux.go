package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// Offsets in the setup header of a bzImage, boot protocol 2.08 and later: Documentation/arch/x86/boot.rst.
const (
	setupSectors  = 0x1f1
	headerMagic   = 0x202
	version       = 0x206
	payloadOffset = 0x248
	payloadLength = 0x24c
	headerEnd     = 0x250
	sector        = 512
)

var errNotBzImage = errors.New("not a bzImage of boot protocol 2.08 or later")

// payload returns the compressed kernel inside a bzImage. The build appends the uncompressed size,
// four bytes that do not belong to the compressed stream (scripts/Makefile.lib, size_append).
func payload(bzImage []byte) ([]byte, error) {
	if len(bzImage) < headerEnd || string(bzImage[headerMagic:headerMagic+4]) != "HdrS" ||
		binary.LittleEndian.Uint16(bzImage[version:]) < 0x208 {
		return nil, errNotBzImage
	}
	sectors := uint64(bzImage[setupSectors])
	if sectors == 0 {
		sectors = 4 // the documented meaning of 0
	}
	start := (sectors+1)*sector + uint64(binary.LittleEndian.Uint32(bzImage[payloadOffset:]))
	end := start + uint64(binary.LittleEndian.Uint32(bzImage[payloadLength:]))
	if end > uint64(len(bzImage)) || end < start+4 {
		return nil, fmt.Errorf("bzImage: payload from %d to %d lies outside of the file's %d bytes", start, end, len(bzImage))
	}
	return bzImage[start : end-4], nil
}

// decompressor names the host's tool for a compressed stream.
func decompressor(stream []byte) (string, error) {
	for magic, tool := range map[string]string{"\xfd7zXZ\x00": "xz -dc", "\x28\xb5\x2f\xfd": "zstd -dc", "\x1f\x8b": "gzip -dc"} {
		if bytes.HasPrefix(stream, []byte(magic)) {
			return tool, nil
		}
	}
	return "", fmt.Errorf("kernel compressed with an unknown format, its first bytes are % x", stream[:min(8, len(stream))])
}

// kernel turns out/bzImage into out/vmlinux.
func (b *builder) kernel(ctx context.Context, in *box.Box, out string) error {
	bzImage, err := os.ReadFile(filepath.Join(out, "bzImage"))
	if err != nil {
		return err
	}
	stream, err := payload(bzImage)
	if err != nil {
		return err
	}
	tool, err := decompressor(stream)
	if err != nil {
		return err
	}
	vmlinux, err := os.OpenFile(filepath.Join(out, "vmlinux"), os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // G302: a kernel is public
	if err != nil {
		return err
	}
	var complaints bytes.Buffer
	code, err := in.Run(ctx, remote.Command{Script: tool, Stdin: bytes.NewReader(stream), Stdout: vmlinux, Stderr: &complaints})
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: exit code %d: %s", tool, code, complaints.String())
	}
	return errors.Join(err, vmlinux.Close())
}
