package catalog

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"runtime"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// The mirror's files. The journal has one event a line, with a checksum before it, so that a line that a power cut left
// half written is told from a whole one.
const (
	journalFile = "journal"
	mirrorLock  = "lock"
	maxLine     = 2 * MaxRecord
	sweepAge    = time.Hour
)

// slack is how many lines more than needed the journal has before it is written anew.
const slack = 4096

// checksumLength is that of a CRC-32 in hexadecimal digits and a blank.
const checksumLength = 9

// mirror is the journal on the node's disk. Its methods are called by one goroutine at a time, the one whose turn it is.
type mirror struct {
	dir   *durable.Dir
	lock  *durable.Lock // nil when another plugin of this node writes the mirror
	lines int
	// stale says that the journal misses something and is written anew at the next chance.
	stale bool
}

// openMirror opens the mirror's folder. A second plugin of the node reads the mirror and does not write it.
func openMirror(path string, now func() time.Time, options []durable.Option) (*mirror, error) {
	given := append([]durable.Option{durable.MakeAll(), durable.WithSweep(sweepAge, now)}, options...)
	dir, err := durable.Open(path, given...)
	if err != nil {
		return nil, fmt.Errorf("open the catalog's mirror: %w", err)
	}
	lock, err := dir.TryLock(mirrorLock)
	if err != nil && !errors.Is(err, durable.ErrLocked) {
		return nil, errors.Join(fmt.Errorf("open the catalog's mirror: %w", err), dir.Close())
	}
	return &mirror{dir: dir, lock: lock}, nil
}

// load reads the journal into what is known and returns the number of lines that are damaged.
func (m *mirror) load(into *knowledge) (damaged int, err error) {
	file, err := m.dir.Reader(journalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close() //nolint:errcheck // only read
	damaged, err = m.read(file, into)
	m.stale = damaged > 0 || err != nil
	return damaged, err
}

// read applies the lines in their order. Batches of them are parsed beside each other, because parsing is what the first
// reads after a start wait for: 10,000 records are 100 ms of one CPU.
func (m *mirror) read(file io.Reader, into *knowledge) (damaged int, err error) {
	batches := make(chan chan batch, runtime.GOMAXPROCS(0)) // as many are parsed at once
	var broken error                                        // read after batches is closed
	go func() {
		defer close(batches)
		broken = split(file, func(text []byte) {
			parsed := make(chan batch, 1)
			batches <- parsed
			go func() { parsed <- parseBatch(text) }()
		})
	}()
	for parsed := range batches {
		next := <-parsed
		m.lines += len(next.events) + next.damaged
		damaged += next.damaged
		for _, change := range next.events {
			into.apply(change)
		}
	}
	return damaged, broken
}

// batchSize is how much text is parsed at once, in bytes: some hundred records.
const batchSize = 128 << 10

// split cuts a journal into batches of whole lines.
func split(file io.Reader, each func([]byte)) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, MaxRecord), maxLine)
	var text []byte
	for lines.Scan() {
		text = append(append(text, lines.Bytes()...), '\n')
		if len(text) >= batchSize {
			each(text)
			text = make([]byte, 0, batchSize+MaxRecord)
		}
	}
	each(text)
	return lines.Err()
}

// batch is what some lines say.
type batch struct {
	events  []event
	damaged int
}

func parseBatch(text []byte) batch {
	var parsed batch
	same := texts{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 {
			continue
		}
		change, err := parseLine(line)
		if err != nil {
			parsed.damaged++
			continue
		}
		same.event(change)
		parsed.events = append(parsed.events, change)
	}
	return parsed
}

func parseLine(line []byte) (event, error) {
	var change event
	var sum [4]byte
	if len(line) < checksumLength {
		return change, io.ErrUnexpectedEOF
	}
	if _, err := hex.Decode(sum[:], line[:checksumLength-1]); err != nil {
		return change, err
	}
	body := line[checksumLength:]
	want := crc32.ChecksumIEEE(body)
	if [4]byte{byte(want >> 24), byte(want >> 16), byte(want >> 8), byte(want)} != sum {
		return change, errors.New("the checksum does not fit")
	}
	return change, json.Unmarshal(body, &change)
}

// writeLine adds a line. An empty line ends what an earlier, failed append may have left.
func writeLine(into *bytes.Buffer, change event) error {
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encode a line of the mirror: %w", err)
	}
	fmt.Fprintf(into, "\n%08x %s\n", crc32.ChecksumIEEE(body), body)
	return nil
}

// keep makes events durable, or the whole when the journal has grown too long: one fsync, or two.
func (m *mirror) keep(events []event, whole *knowledge) error {
	if m.lock == nil {
		return nil
	}
	needed := len(whole.records) + len(whole.tombstones) + len(whole.lost) + 1
	if m.stale || m.lines+len(events) > needed+slack {
		return m.rewrite(whole)
	}
	var text bytes.Buffer
	for _, change := range events {
		if err := writeLine(&text, change); err != nil {
			return err
		}
	}
	m.stale = true // until it is known to be whole
	if err := m.dir.Append(journalFile, text.Bytes()); err != nil {
		return err
	}
	m.stale = false
	m.lines += len(events)
	return nil
}

// rewrite replaces the journal by the shortest one that says the same.
func (m *mirror) rewrite(whole *knowledge) error {
	var text bytes.Buffer
	lines := 0
	err := whole.events(func(change event) error {
		lines++
		return writeLine(&text, change)
	})
	if err != nil {
		return err
	}
	m.stale = true
	if err := m.dir.Write(journalFile, text.Bytes()); err != nil {
		return err
	}
	m.lines, m.stale = lines, false
	return nil
}

func (m *mirror) close() error {
	var err error
	if m.lock != nil {
		err = m.lock.Unlock()
	}
	return errors.Join(err, m.dir.Close())
}
