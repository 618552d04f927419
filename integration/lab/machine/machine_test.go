package machine

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestQuote(t *testing.T) {
	for _, word := range []string{"", "plain", "two words", "it's", `back\slash`, "$HOME `id` \"x\"", "a\nb"} {
		output, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+Quote(word)).Output()
		assert.NilError(t, err)
		assert.Equal(t, string(output), word)
	}
}

func TestArguments(t *testing.T) {
	m := &Machine{name: "node1"}
	line := m.arguments(Spec{
		Name: "node1", Kernel: "/k", Initramfs: "/i", Memory: 512, Append: []string{"lab.node=1"},
		Disk: "/a,b.qcow2", Format: "qcow2", Tap: "tap1", Mac: "52:54:00:00:00:01", Console: "/console",
	})
	for _, want := range []string{
		"'512'", "'if=none,id=disk,cache=unsafe,format=qcow2,file=/a,,b.qcow2'",
		"'tap,id=net,script=no,downscript=no,ifname=tap1'", "'tcg,thread=multi,tb-size=256'",
	} {
		assert.Assert(t, slices.Contains(line, want), "%s is missing in %s", want, line)
	}
	assert.Assert(t, strings.Contains(strings.Join(line, " "), "net.ifnames=0 "))

	bare := strings.Join(m.arguments(Spec{Accelerator: KVM}), " ")
	for _, unwanted := range []string{"virtio-blk", "virtio-net", "tcg"} {
		assert.Assert(t, !strings.Contains(bare, unwanted), "%s in %s", unwanted, bare)
	}
}

func TestAwaitReturn(t *testing.T) {
	const greeting = `{"QMP": {"version": {}, "capabilities": []}} {"event": "STOP", "data": {}} `
	assert.NilError(t, awaitReturn(json.NewDecoder(strings.NewReader(greeting+`{"return": {}}`))))
	err := awaitReturn(json.NewDecoder(strings.NewReader(greeting + `{"error": {"class": "GenericError", "desc": "no such thing"}}`)))
	assert.Error(t, err, `qemu answers "no such thing"`)
	assert.ErrorContains(t, awaitReturn(json.NewDecoder(strings.NewReader(greeting))), "EOF")
}
