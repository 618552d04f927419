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
