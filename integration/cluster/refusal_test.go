//go:build lab

package cluster

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

// refusal is a cause for which a volume must not be mounted.
type refusal struct {
	// name of the test and of the golden file.
	name string
	// attempt is the script that must be refused; when empty, the volume is written to by a container.
	attempt string
	// cause brings the cause about and remove takes it away; nil when nothing has to be done.
	cause, remove func(t *testing.T)
	// works is the script that must work by itself when the cause is gone; empty when the refusal is for good.
	works string
}

// refuses tries one refusal: text, time, the root disk, and that the volume heals.
func (s *site) refuses(t *testing.T, c refusal) {
	s.healed(t)
	if c.cause != nil {
		step(t, "cause", func() { c.cause(t) })
	}
	before := s.footprint(t)
	text, took := s.refused(t, c.attempt)
	t.Logf("measured: %-44s %6.1f s", "refused", took.Seconds())
	golden.Assert(t, s.stable(text)+"\n", "../../testdata/golden/"+c.name+".txt")
	// The engine and its command have their own share of it, the more the slower the machine is: measured when it matters.
	assert.Assert(t, took < answerLimit || took < answerLimit+s.overhead(t), "refused after %s", took)
	before.same(t, s.footprint(t))
	if c.works == "" {
		return
	}
	if c.remove != nil {
		step(t, "remove the cause", func() { c.remove(t) })
	}
	measure(t, "works again", func() { s.eventually(t, c.works) })
}

// overhead is what the engine and its command need here and now for a container that has no volume, twice.
func (s *site) overhead(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	s.ok(t, "docker run --rm --network none homelab-storage/standin:1 true")
	return 2*time.Since(start) + 5*time.Second
}

// footprint is what lies on the root disk where data would go that did not reach its storage.
type footprint struct {
	files string
	used  int64 // bytes
}

// below shows the root disk without what is mounted on it.
const below = `mkdir -p /run/below && mount --bind / /run/below || exit
(cd /run/below && find mnt var/lib/docker/volumes var/lib/docker/plugins/*/propagated-mount var/lib/docker/plugins/*/rootfs/mnt \
	! -name metadata.db -printf '%y %p %s\n' | sort)
umount /run/below`

func (s *site) footprint(t *testing.T) footprint {
	t.Helper()
	var used int64
	for _, digit := range s.ok(t, "df --block-size=1 --output=used / | tail --lines 1 | tr -d ' '") {
		used = used*10 + int64(digit-'0')
	}
	return footprint{files: s.ok(t, below), used: used}
}

// written is what each attempt would write: more than logs and a container's own files take.
const written = 64 << 20

func (f footprint) same(t *testing.T, after footprint) {
	t.Helper()
	assert.Equal(t, after.files, f.files, "files on the root disk")
	assert.Assert(t, after.used-f.used < written/2, "%d bytes more on the root disk", after.used-f.used)
}

// writes is a container that writes so much into a volume that it would be noticed.
func writes(volume string) string {
	return run(volume) + " dd if=/dev/zero of=/config/written bs=1M count=64 conv=fsync"
}

// unstable are the parts of a text that differ from one run to the next.
var unstable = []struct {
	part *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{32})\b`), "<id>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "<time>"},
	{regexp.MustCompile(`waited [0-9.]+s`), "waited <duration>"},
	{regexp.MustCompile(`/dev/sd[a-z]`), "/dev/<disk>"},
	{regexp.MustCompile(`\(iscsiadm: [^)]*\)`), "(iscsiadm: <reason>)"},
}

// stable gives names to what is unstable, and takes out what the docker command says by itself.
func (s *site) stable(text string) string {
	for lun, uuid := range s.uuids {
		text = strings.ReplaceAll(text, uuid, "<UUID of "+lun+">")
		text = strings.ReplaceAll(text, strings.ToUpper(strings.ReplaceAll(uuid, "-", "")), "<UUID of "+lun+">")
	}
	for _, one := range unstable {
		text = one.part.ReplaceAllString(text, one.name)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "See 'docker run --help'") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
