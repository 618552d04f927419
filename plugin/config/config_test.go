package config

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	assert.NilError(t, err)
	return text
}

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value
			}
		}
		return ""
	}
}

func assemble(t *testing.T, node, shared string, pairs ...string) (*settings.Settings, []Problem) {
	t.Helper()
	nodeLayer, problems := parse("config.yaml", []byte(node), false)
	sharedLayer, more := parse("shared.yaml", []byte(shared), true)
	problems = append(problems, more...)
	env, more := readEnvironment(environ(pairs...))
	problems = append(problems, more...)
	merged, more := merge(sources{node: nodeLayer, shared: sharedLayer, environment: env, hostname: "node-1", stateDir: "/var/lib/x"})
	return merged, append(problems, more...)
}

// All problems of one file are reported at once; the text is what a user reads.
func TestEightProblems(t *testing.T) {
	_, problems := parse("config.yaml", read(t, "testdata/eight.yaml"), false)
	assert.Equal(t, len(problems), 8)
	text := joined(problems).Error()
	golden.Assert(t, text+"\n", "eight.golden")
	assert.Assert(t, !strings.Contains(text, "hunter2"), "a password was shown")
}

func TestProblemTexts(t *testing.T) {
	pool := "pools: [{name: a, device: LABEL=a, path: /a}]\n"
	var text strings.Builder
	for _, node := range []string{
		"pools", "pool: []", "x: 1", "pools: {}", "pools: [1]", "pools: [{}]", "pools: a\n\tb", "pools: [", "a: 1\n---\nb: 2",
		"defaults:\n  uid: -1\n  uid: 2", "defaults: {mode: }", "defaults: {lease_wait: 20}", "defaults: {lease_wait: 3m}", "defaults: {trash_retention: 9999d}",
		"defaults: {uid: [1]}", "a: \xff", "a: \x01", strings.Repeat(" ", maxFile+1),
		"classes: []", "classes: {db: {like: db}}", "classes: {a b: {like: db}}", "classes: {pg: {like: dbb}}", "classes: {pg: {like: postgres}}", "classes: {pg: {}}",
		"pools: [{name: a, device: LABEL=a, path: /}, {name: b, device: sdb, path: /a/../b/}, {name: standalone, device: LABEL=c, path: /c}]",
		"pools: [{name: a, device: LABEL=a, path: /a, catalog: maybe, mount_options: 'x,y', iscsi: {portal: 'a b', target: disk}}]",
		"pools: [{name: a, device: LABEL=a, path: /a, catalog: true}, {name: a, device: LABEL=a, path: /a, catalog: true}, {name: b, device: LABEL=b, path: /a/b}]",
		"shares: [{name: s, device: torrents}, {name: s, device: //nas/x}]", "shares: [{name: s, device: '\\\\nas\\x'}, {name: t, device: //nas/../x}]",
		"shares: [{name: s, device: //nas/x, options: [username=u, zork, 'a,b', pass=x]}]",
		"shares: [{name: s, device: //nas/x, options: [username=bob%hunter2]}, {name: t, device: '//bob:hunter2@nas/x'}]", "a: 1\n---\nb: [",
	} {
		_, problems := assemble(t, node, "")
		assert.Assert(t, len(problems) > 0, "%q has no problem", node)
		text.WriteString(joined(problems).Error() + "\n\n")
	}
	_, problems := assemble(t, "", pool)
	text.WriteString(joined(problems).Error() + "\n\n")
	_, problems = assemble(t, pool, "", "STANDALONE=true")
	text.WriteString(joined(problems).Error() + "\n\n")
	_, problems = assemble(t, pool, "", "POOL_NAME=a", "POOL_DEVICE=LABEL=b", "POOL_PATH=/b")
	text.WriteString(joined(problems).Error() + "\n\n")
	_, problems = assemble(t, "", "", "NODE_NAME=a b", "POOL_PATH=x", "ISCSI_TARGET=x", "ISCSI_PORTAL=nas:0", "SMB_SERVER=//nas", "SMB_CREDENTIALS=/etc/x", "STANDALONE=maybe",
		"LEASE_WAIT=1h", "CONFIG=config.yaml", "METRICS_ADDR=9110", "LOG_LEVEL=loud", "LOG_FORMAT=xml", "INSTALL_CLI=2")
	text.WriteString(joined(problems).Error() + "\n\n")
	_, problems = assemble(t, "", "", "POOL_NAME=a", "POOL_DEVICE=LABEL=a", "POOL_PATH=/mnt/a/")
	text.WriteString(joined(problems).Error() + "\n\n")
	_, problems = assemble(t, "", "", "POOL_NAME=a", "POOL_DEVICE=LABEL=a", "POOL_PATH=/")
	text.WriteString(joined(problems).Error() + "\n")
	golden.Assert(t, text.String(), "problems.golden")
	assert.Assert(t, !strings.Contains(text.String(), "hunter2"), "a password was shown")
}

func TestMerge(t *testing.T) {
	node := `
pools: [{name: one, device: LABEL=one, path: /one}, {name: two, device: LABEL=two, path: /two, catalog: true}]
shares: [{name: s, device: //node/s}]
classes: {pg: {like: db, uid: 1}}
defaults: {uid: 1}
`
	shared := `
shares: [{name: s, device: //shared/s}, {name: t, device: t/u}]
classes: {pg: {like: db, uid: 2}, my: {like: data, mode: 0750}}
defaults: {uid: 2, gid: 2, lease_wait: 2s, share_linger: 2m}
`
	got, problems := assemble(t, node, shared, "LEASE_WAIT=3s", "SMB_SERVER=nas", "SMB_CREDENTIALS=c")
	assert.NilError(t, joined(problems))
	one, two, mode := uint32(1), uint32(2), os.FileMode(0o750)
	_ = two
	assert.DeepEqual(t, got, &settings.Settings{
		Node: "node-1",
		Pools: []settings.Pool{
			{Name: "one", Device: "LABEL=one", Path: "/one"},
			{Name: "two", Device: "LABEL=two", Path: "/two", Catalog: true},
		},
		Shares:  []settings.Share{{Name: "s", Device: "//node/s"}, {Name: "t", Device: "//nas/t/u"}},
		Classes: map[string]settings.Class{"pg": {Like: "db", UID: &one}, "my": {Like: "data", Mode: &mode}},
		Server:  "nas", Credentials: "c",
		Defaults: settings.Defaults{UID: 1, GID: 2, Mode: 0o770, TrashRetention: 720 * time.Hour, ShareLinger: 2 * time.Minute, LeaseWait: 3 * time.Second},
	})
}

func TestPoolOfTheSettings(t *testing.T) {
	got, problems := assemble(t, "pools: [{name: b, device: LABEL=b, path: /b}]", "",
		"POOL_NAME=a", "POOL_DEVICE=UUID=0b0c0d0e-1111-2222-3333-444455556666", "POOL_PATH=/a", "ISCSI_PORTAL=[fd00::1]:3260", "ISCSI_TARGET=iqn.x:a", "NODE_NAME=me")
	assert.NilError(t, joined(problems))
	assert.Equal(t, got.Node, "me")
	assert.DeepEqual(t, got.Pools[0], settings.Pool{
		Name: "a", Device: "UUID=0b0c0d0e-1111-2222-3333-444455556666", Path: "/a", Catalog: true,
		ISCSI: &settings.ISCSI{Portal: "[fd00::1]:3260", Target: "iqn.x:a"},
	})
	assert.Assert(t, !got.Pools[1].Catalog)
}

// A share is written as a volume writes it.
func TestServers(t *testing.T) {
	for _, server := range []string{"nas", "nas.home.arpa", "my_nas", "_nas", "192.168.1.100", "fd00::1", "[fd00::1]"} {
		got, problems := assemble(t, "shares: [{name: s, device: '//"+server+"/My Share'}, {name: t, device: torrents}]", "", "SMB_SERVER="+server)
		assert.NilError(t, joined(problems))
		assert.Equal(t, got.Shares[0].Device, "//"+server+"/My Share")
		assert.Equal(t, got.Shares[1].Device, "//"+server+"/torrents")
	}
	for _, server := range []string{"", "-nas", "nas_.", "[nas", "[nas]", "[fd00::1", "a b", "[fd00::1]:445"} {
		_, problems := assemble(t, "shares: [{name: s, device: '//"+server+"/s'}]", "")
		assert.ErrorContains(t, joined(problems), "must be //server/share")
	}
}

func TestStandalone(t *testing.T) {
	got, problems := assemble(t, "", "", "STANDALONE=true")
	assert.NilError(t, joined(problems))
	assert.DeepEqual(t, got.Pools, []settings.Pool{{Name: "standalone", Path: "/var/lib/x/local/standalone", Standalone: true}})
	got, _ = assemble(t, "defaults: {lease_wait: 5s}", "", "LEASE_WAIT=20s", "STANDALONE=false")
	assert.Equal(t, len(got.Pools), 0)
	assert.Equal(t, got.Defaults.LeaseWait, 5*time.Second)
}

// The example is valid, without a pool's or share's problem, and has every key of the schema.
func TestExample(t *testing.T) {
	text := string(read(t, "../../docs/config.example.yaml"))
	got, problems := assemble(t, text, "")
	assert.NilError(t, joined(problems))
	assert.Equal(t, len(got.Pools)+len(got.Shares)+len(got.Classes), 5)
	for _, key := range keys() {
		assert.Assert(t, strings.Contains(text, key+":"), "the example has no %s", key)
	}
}

func keys() []string {
	all := nameList(fileFields())
	all = append(append(all, nameList(poolFields())...), nameList(iscsiFields())...)
	all = append(append(all, nameList(shareFields())...), nameList(classFields())...)
	return append(all, nameList(defaultsFields())...)
}

func TestDocumentation(t *testing.T) {
	var text bytes.Buffer
	assert.NilError(t, Document(&text))
	const file = "../../docs/settings.md"
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(file, text.Bytes(), 0o644))
	}
	assert.Equal(t, string(read(t, file)), text.String(), "go test ./plugin/config -update writes it")
}

// Every setting of the binding table exists, and no other.
func TestVariables(t *testing.T) {
	want := strings.Fields("NODE_NAME POOL_NAME POOL_DEVICE POOL_PATH ISCSI_PORTAL ISCSI_TARGET SMB_SERVER SMB_CREDENTIALS STANDALONE LEASE_WAIT CONFIG METRICS_ADDR LOG_LEVEL LOG_FORMAT INSTALL_CLI")
	var got []string
	for _, one := range Variables() {
		got = append(got, one.Name)
	}
	assert.DeepEqual(t, got, want)
}

// config.json offers these settings and no others, with defaults that mean "not given".
func TestPluginConfiguration(t *testing.T) {
	var file struct {
		Env []struct{ Name, Value string }
	}
	assert.NilError(t, json.Unmarshal(read(t, "../../config.json"), &file))
	values := map[string]string{}
	for _, one := range file.Env {
		values[one.Name] = one.Value
	}
	assert.Equal(t, len(values), len(Variables()))
	for _, one := range Variables() {
		value, ok := values[one.Name]
		assert.Assert(t, ok, "config.json has no %s", one.Name)
		assert.Assert(t, value == "" || value == one.Default, "%s=%s is not its default %s", one.Name, value, one.Default)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(&testing.T{}, "testdata/eight.yaml"))
	f.Add(read(&testing.T{}, "../../docs/config.example.yaml"))
	for _, seed := range []string{"key:\n}", "pools: &a [*a]", "a: {<<: *b}", "? a\n: b", "pools: !!binary x", "%YAML 1.2\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		first, problems := parse("f", text, false)
		again, _ := parse("f", text, false)
		assert.Assert(t, reflect.DeepEqual(first, again), "two readings differ")
		lines := 1
		for _, lineBreak := range []string{"\n", "\r", "\u2028", "\u2029"} { // YAML 1.1, 4.2
			lines += bytes.Count(text, []byte(lineBreak))
		}
		for _, problem := range problems {
			assert.Assert(t, problem.Line >= 1 && problem.Line <= lines+1 && problem.Column >= 1, "%v has no place in %q", problem, text)
			assert.Assert(t, problem.Text != "")
		}
	})
}
