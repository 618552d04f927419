package machine

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
)

// The accelerators that QEMU is asked for.
const (
	TCG = "tcg"
	KVM = "kvm"
)

// probeTime bounds the probe's boot; real KVM needs about a second.
const probeTime = 15 * time.Second

// probeMark is what the initramfs prints when lab.probe is on its command line.
const probeMark = "lab: probe ok"

// Accelerator finds out by booting kernel and initramfs whether KVM works here. The answer, which
// costs up to 15 s where /dev/kvm deceives, is kept in the file "accelerator" of cache until the
// host boots again.
func Accelerator(ctx context.Context, b *box.Box, cache *os.Root, spec Spec) (string, error) {
	if device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return TCG, nil //nolint:nilerr // a host without KVM is an ordinary one
	} else if err := device.Close(); err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	known, err := cache.ReadFile("accelerator")
	if boots, accelerator, found := strings.Cut(string(known), " "); err == nil && found && boots == strings.TrimSpace(string(boot)) {
		return accelerator, nil
	}
	accelerator := probe(ctx, b, spec)
	record := strings.TrimSpace(string(boot)) + " " + accelerator
	return accelerator, cache.WriteFile("accelerator", []byte(record), 0o644)
}

// probe boots to the first line of the initramfs under KVM.
func probe(ctx context.Context, b *box.Box, spec Spec) string {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	spec.Accelerator, spec.Memory, spec.Append = KVM, 256, []string{"lab.probe"}
	m, err := Start(ctx, b, spec)
	if err != nil {
		return TCG
	}
	ended := m.Wait(ctx)
	if err := m.Kill(context.WithoutCancel(ctx)); err != nil || ended != nil {
		return TCG
	}
	console, err := os.ReadFile(spec.Console)
	if err != nil || !strings.Contains(string(console), probeMark) {
		return TCG
	}
	return KVM
}
