package main

import (
	"bytes"
	"context"
	_ "embed" // the floor plugin's config.json
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/standin"
)

//go:embed floor/config.json
var floorConfig []byte

const (
	driverName = "homelab-storage:latest"
	floorName  = "floor:latest"
	// runTurns is how often each kind of volume gets a container: some 0.2 s each on an idle machine. On a busy one it
	// ends earlier, after runTime, but for the fewest turns that a median needs.
	runTurns, fewestTurns = 50, 12
	runTime               = 35 * time.Second
	// runVolumes is how many database volumes take turns, so that each is used anew: its hold was given back since.
	runVolumes = 24
	// runGoal is what a plugin that does nothing costs (FACTS 1).
	runGoal = 1.06
	// seeded is the folder of the stand-in image that gets the engine's copy-up, as the images of most applications do.
	seeded = "/seeded"
)

// measureRun compares `docker run --rm -v` with a volume of this plugin, of a plugin that only bind-mounts, and of the
// local driver.
func (b *bench) measureRun(ctx context.Context) error {
	if err := b.install(ctx); err != nil {
		return err
	}
	volumes := make([]string, runVolumes)
	for i := range volumes {
		volumes[i] = fmt.Sprintf("bench-%d", i)
		if _, err := b.engine.Docker(ctx, "volume", "create", "--driver", driverName, "--opt", "class=db", volumes[i]); err != nil {
			return err
		}
	}
	for name, driver := range map[string]string{"bench-floor": floorName, "bench-local": "local"} {
		if _, err := b.engine.Docker(ctx, "volume", "create", "--driver", driver, name); err != nil {
			return err
		}
	}
	fresh, warm, floor, local, err := b.runTurns(ctx, volumes)
	if err != nil {
		return err
	}
	return b.reportRun(fresh, warm, floor, local)
}

// runTurns runs four containers a turn, in an order that changes. The first turns fill caches and do not count.
func (b *bench) runTurns(ctx context.Context, volumes []string) (fresh, warm, floor, local samples, err error) {
	const unmeasuredTurns = 2
	end := time.Now().Add(runTime)
	for turn := range unmeasuredTurns + runTurns {
		if turn >= unmeasuredTurns+fewestTurns && time.Now().After(end) {
			break
		}
		sides := []struct {
			volume string
			into   *samples
		}{{volumes[turn%len(volumes)], &fresh}, {"bench-local", &local}, {volumes[turn%len(volumes)], &warm}, {"bench-floor", &floor}}
		for at := range sides {
			side := sides[at]
			if turn%2 == 1 { // local first
				side = sides[[]int{1, 0, 3, 2}[at]]
			}
			took, err := b.runContainer(ctx, side.volume)
			if err != nil {
				return nil, nil, nil, nil, err
			}
			if turn >= unmeasuredTurns {
				*side.into = append(*side.into, took)
			}
		}
	}
	return fresh, warm, floor, local, nil
}

func (b *bench) runContainer(ctx context.Context, volume string) (time.Duration, error) {
	began := time.Now()
	_, err := b.engine.Docker(ctx, "run", "--rm", "--network", "none", "--volume", volume+":"+seeded, standin.Name, "true")
	return time.Since(began), err
}

func (b *bench) reportRun(fresh, warm, floor, local samples) error {
	b.report.know("local driver", local)
	b.report.know("db volume", fresh)
	goal := fmt.Sprintf("<= %.2f", runGoal)
	for _, side := range []struct {
		what string
		of   samples
		goal bool
	}{{"db volume / local", fresh, true}, {"db volume used a moment ago / local", warm, false}, {"do-nothing plugin / local (the floor)", floor, false}} {
		found, err := ratioOf(side.of, local)
		if err != nil {
			return err
		}
		if side.goal {
			b.report.judge(side.what, found.String(), goal, found.value <= runGoal)
		} else {
			b.report.know(side.what, found)
		}
	}
	return nil
}

// install makes the engine ready: the image, the plugin and the floor.
func (b *bench) install(ctx context.Context) error {
	var image bytes.Buffer
	if err := standin.Write(ctx, &image); err != nil {
		return err
	}
	if _, err := b.engine.DockerInput(ctx, &image, "import", "-", standin.Name); err != nil {
		return err
	}
	if err := b.engine.CreatePlugin(ctx, driverName, b.plugin, "STANDALONE=true"); err != nil {
		return err
	}
	folder, err := b.buildFloor(ctx)
	if err != nil {
		return err
	}
	return b.engine.CreatePlugin(ctx, floorName, folder)
}

// buildFloor makes the folder of the do-nothing plugin.
func (b *bench) buildFloor(ctx context.Context) (string, error) {
	folder := filepath.Join(b.folder, "floor")
	for _, made := range []string{folder, filepath.Join(folder, "rootfs")} {
		if err := os.Mkdir(made, 0o755); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, "rootfs/floor"), "./integration/bench/floor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the do-nothing plugin: %w: %s", err, text)
	}
	return folder, os.WriteFile(filepath.Join(folder, "config.json"), floorConfig, 0o600)
}
