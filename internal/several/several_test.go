package several_test

import (
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/go-multierror"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/internal/several"
)

func TestTexts(t *testing.T) {
	var none *multierror.Error
	assert.NilError(t, several.Append(none, nil).ErrorOrNil())
	assert.Error(t, several.Append(none, errors.New("one")).ErrorOrNil(), "one")
	two := several.Append(several.Append(none, errors.New("one")), several.Append(none, errors.New("two\nlines"), io.EOF))
	assert.Error(t, two.ErrorOrNil(), "3 problems:\n- one\n- two\n  lines\n- EOF")
	assert.ErrorIs(t, two, io.EOF)
}
