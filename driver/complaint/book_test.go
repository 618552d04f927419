package complaint_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/complaint"
)

func TestBook(t *testing.T) {
	var book complaint.Book
	assert.Assert(t, !book.Set("radarr", ""), "nothing was said, and nothing is")
	assert.Assert(t, book.Set("radarr", "a loss"))
	assert.Assert(t, !book.Set("radarr", "a loss"), "it is told once")
	assert.Assert(t, book.Set("radarr", "another loss"))
	assert.Assert(t, book.Set("plex", "a loss"))
	assert.Equal(t, book.Of("radarr"), "another loss")
	assert.Equal(t, book.Of("unknown"), "")
	assert.DeepEqual(t, book.All("volume"), []string{`volume "plex": a loss`, `volume "radarr": another loss`})

	assert.Assert(t, book.Set("plex", ""), "it is over")
	assert.DeepEqual(t, book.All("pool"), []string{`pool "radarr": another loss`})
	book.Only([]string{"plex"})
	assert.Equal(t, book.Of("radarr"), "")
	assert.Equal(t, len(book.All("volume")), 0)
	assert.Assert(t, book.Set("radarr", "another loss"), "what was forgotten is new")
}
