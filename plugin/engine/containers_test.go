package engine

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

func TestContainersOfVolumes(t *testing.T) {
	f := &fakeEngine{answers: map[string]string{"/containers/json": `[
		{"Id":"a","Names":["/radarr"],"Image":"linuxserver/radarr","Mounts":[{"Type":"volume","Name":"radarr"},{"Type":"volume","Name":"media"}]},
		{"Id":"b","Names":["/task"],"Labels":{"com.docker.swarm.service.name":"sonarr"},"Mounts":[{"Type":"volume","Name":"sonarr"}]},
		{"Id":"c","Names":["/bound"],"Mounts":[{"Type":"bind","Name":"radarr"}]},
		{"Id":"d","Mounts":[{"Type":"volume","Name":"other"}]}]`}}
	e := f.serve(t)
	found, err := e.Using(t.Context(), []string{"radarr", "sonarr"})
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []driver.Container{
		{ID: "a", Name: "radarr", Image: "linuxserver/radarr", Volumes: []string{"radarr"}},
		{ID: "b", Name: "task", Volumes: []string{"sonarr"}, Service: "sonarr"},
	})
	found, err = e.Using(t.Context(), []string{"other"})
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []driver.Container{{ID: "d", Name: "d", Volumes: []string{"other"}}})
	assert.NilError(t, e.Stop(t.Context(), "gone"), "a container that is gone is stopped")
	assert.NilError(t, e.Start(t.Context(), "a"))
	assert.DeepEqual(t, f.started, []string{"a"})
	assert.ErrorContains(t, e.Start(t.Context(), "broken"), "starting the container broken: Error response from daemon: no such image")
	assert.ErrorContains(t, (&fakeEngine{}).serve(t).Stop(t.Context(), "broken"), "stopping the container broken")
}

func TestContainersOfADriver(t *testing.T) {
	f := &fakeEngine{answers: map[string]string{
		"/containers/json": `[
		{"Id":"a","Names":["/radarr"],"State":"running","Mounts":[{"Type":"volume","Name":"radarr","Driver":"homelab-storage:latest"}]},
		{"Id":"b","Names":["/old"],"State":"exited","Mounts":[{"Type":"volume","Name":"sonarr","Driver":"homelab-storage:latest"}]},
		{"Id":"c","Names":["/other"],"State":"running","Mounts":[{"Type":"volume","Name":"x","Driver":"local"}]}]`,
		"/plugins": `[{"Id":"1","Name":"homelab-storage:latest","Enabled":false,"Config":{"Interface":{"Socket":"homelab-storage.sock"}}}]`,
	}}
	e := f.serve(t)
	running, stopped, err := e.OfDriver(t.Context(), name)
	assert.NilError(t, err)
	assert.Equal(t, len(running)+len(stopped), 2)
	assert.Equal(t, running[0].Name+" "+stopped[0].Name, "radarr old")
	found, err := e.Installed(t.Context(), "homelab-storage.sock")
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []Plugin{{ID: "1", Name: name}})
	_, _, err = (&fakeEngine{}).serve(t).OfDriver(t.Context(), name)
	assert.ErrorContains(t, err, "which containers use volumes of homelab-storage:latest")
}
