package image

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

// bzImage makes a kernel image with one setup sector and the given compressed stream.
func bzImage(stream []byte) []byte {
	content := make([]byte, 2*sector+0x100)
	content[setupSectors] = 1
	copy(content[headerMagic:], "HdrS")
	binary.LittleEndian.PutUint16(content[version:], 0x20f)
	binary.LittleEndian.PutUint32(content[payloadOffset:], 0x100)
	binary.LittleEndian.PutUint32(content[payloadLength:], uint32(len(stream)+4))
	return slices.Concat(content, stream, []byte("SIZErest of the file"))
}

func TestPayload(t *testing.T) {
	got, err := payload(bzImage([]byte("compressed kernel")))
	assert.NilError(t, err)
	assert.Equal(t, string(got), "compressed kernel")
}

func TestPayloadRefuses(t *testing.T) {
	old := bzImage([]byte("x"))
	binary.LittleEndian.PutUint16(old[version:], 0x207)
	long := bzImage([]byte("x"))
	binary.LittleEndian.PutUint32(long[payloadLength:], 1<<31)
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":              {nil, "not a bzImage"},
		"no magic":           {bytes.Repeat([]byte{1}, 4096), "not a bzImage"},
		"old boot protocol":  {old, "not a bzImage"},
		"payload beyond end": {long, "lies outside of the file's"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := payload(test.content)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestDecompressor(t *testing.T) {
	for stream, want := range map[string]string{
		"\xfd7zXZ\x00rest": "xz -dc", "\x28\xb5\x2f\xfdrest": "zstd -dc", "\x1f\x8brest": "gzip -dc",
	} {
		got, err := decompressor([]byte(stream))
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	_, err := decompressor([]byte("BZh9"))
	assert.ErrorContains(t, err, "unknown format, its first bytes are 42 5a 68 39")
}
