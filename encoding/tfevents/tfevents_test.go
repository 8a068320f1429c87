package tfevents

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// golden is a whole file, written by hand from the published formats: event.proto and
// summary.proto (field numbers), protobuf's encoding (key = number × 8 + wire type), IEEE 754
// and the TFRecord layout. The first twelve bytes are those of any file that TensorFlow
// itself writes. The other CRCs were computed bit by bit from the polynomial 0x82f63b78.
var golden = unhex(`
	18 00 00 00 00 00 00 00    length 24
	a3 7f 4b 22                its masked CRC
	09                         field 1, wall_time, 8 bytes:
	00 00 00 40 fc 54 d9 41      1700000000 = 1.583…×2^30, 0x41d954fc40000000
	1a 0d                      field 3, file_version, 13 bytes:
	62 72 61 69 6e 2e            "brain."
	45 76 65 6e 74 3a 32         "Event:2"
	ec ed 8f 9d                masked CRC of the 24 bytes

	2c 00 00 00 00 00 00 00    length 44
	f4 ae cc 45
	09                         wall_time:
	00 00 20 40 fc 54 d9 41      1700000000.5
	10 ac 02                   field 2, step, a varint: 0x2c + 2<<7 = 300
	2a 1e                      field 5, summary, 30 bytes:
	0a 11                        field 1, a value, 17 bytes:
	0a 0a                          field 1, tag, 10 bytes:
	6c 6f 73 73 2f                   "loss/"
	74 72 61 69 6e                   "train"
	15 00 00 20 40                 field 2, simple_value, 4 bytes: 2.5 = 0x40200000
	0a 09                        field 1, a value, 9 bytes:
	0a 02 6c 72                    tag "lr"
	15 00 00 80 3d                 simple_value 0.0625 = 0x3d800000
	53 bb d4 ec

	17 00 00 00 00 00 00 00    length 23
	e7 ce f8 1e
	09                         wall_time:
	00 00 40 40 fc 54 d9 41      1700000001
	10 64                      step 100
	2a 0a 0a 08                summary, one value:
	0a 01 61                     tag "a"
	15 00 00 80 bf               simple_value -1 = 0xbf800000
	da cc 64 f6
`)

var goldenEvents = []Event{
	{WallTime: 1700000000, FileVersion: "brain.Event:2"},
	{WallTime: 1700000000.5, Step: 300, Scalars: []Scalar{{"loss/train", 2.5}, {"lr", 0.0625}}},
	{WallTime: 1700000001, Step: 100, Scalars: []Scalar{{"a", -1}}},
}

// unhex reads the bytes that begin the lines; three blanks and what follows are a comment.
func unhex(s string) []byte {
	var b []byte
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
		part, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			panic(err)
		}
		b = append(b, part...)
	}
	return b
}

func readAll(r io.Reader) (events []Event, err error) {
	for e, err := range Read(r) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

func TestWriterMatchesPublishedFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "tensorboard")
	w, err := Create(dir, time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(1700000000.5, 300, Scalar{"loss/train", 2.5}, Scalar{"lr", 0.0625}); err != nil {
		t.Fatal(err)
	}
	live, err := os.ReadFile(w.Name()) // TensorBoard reads while the run goes on
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(1700000001, 100, Scalar{"a", -1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(w.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, golden) {
		t.Errorf("file\n got %x\nwant %x", got, golden)
	}
	if want := golden[:len(golden)-39]; !bytes.Equal(live, want) {
		t.Errorf("before the last event the file has %d bytes, want %d", len(live), len(want))
	}
}

func TestReadGolden(t *testing.T) {
	got, err := readAll(bytes.NewReader(golden))
	if err != nil || !reflect.DeepEqual(got, goldenEvents) {
		t.Errorf("got %+v, %v; want %+v", got, err, goldenEvents)
	}
}

// CRC-32C's examples of RFC 3720, B.4; the RFC prints the bytes in the order of the wire.
func TestCRC32C(t *testing.T) {
	up, down := make([]byte, 32), make([]byte, 32)
	for i := range 32 {
		up[i], down[i] = byte(i), byte(31-i)
	}
	pdu := unhex(`
		01 c0 00 00 00 00 00 00 00 00 00 00 00 00 00 00
		14 00 00 00 00 00 04 00 00 00 00 14 00 00 00 18
		28 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00`)
	for _, c := range []struct {
		name string
		data []byte
		crc  uint32
	}{
		{"32 zeros", make([]byte, 32), 0x8a9136aa},
		{"32 ones", bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43},
		{"incrementing", up, 0x46dd794e},
		{"decrementing", down, 0x113fdb5c},
		{"an iSCSI read command", pdu, 0xd9963a56},
	} {
		// ((crc >> 15) | (crc << 17)) + 0xa282ead8, as the format's description has it
		want := c.crc>>15 | c.crc<<17
		want += 0xa282ead8
		if got := maskedCRC(c.data); got != want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, want)
		}
	}
	// 0x8a9136aa>>15 = 0x11522, <<17 = 0x6d540000; 0x6d551522 + 0xa282ead8 = 0x1_0fd7fffa
	if got := maskedCRC(make([]byte, 32)); got != 0x0fd7fffa {
		t.Errorf("32 zeros: got %#x, want 0x0fd7fffa", got)
	}
}

func TestFileNames(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for range 2 { // a run that is resumed within a second
		w, err := Create(dir, time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		names = append(names, filepath.Base(w.Name()))
	}
	form := regexp.MustCompile(`^events\.out\.tfevents\.1700000000\..+\.\d+\.[01]\.agora$`)
	for _, name := range names {
		if !form.MatchString(name) {
			t.Errorf("name %q does not match %s", name, form)
		}
	}
	if names[0] >= names[1] {
		t.Errorf("TensorBoard reads files in the order of their names: %q came before %q", names[0], names[1])
	}
}

func TestValuesSurvive(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, want := range []Event{
		{},
		{Step: 1<<63 - 1, Scalars: []Scalar{{"", 0}}},
		{Step: -1, WallTime: math.Inf(-1), Scalars: []Scalar{{"s_norm/layers.0.q", inf}, {"x", -0x1p-149}}},
		{Scalars: []Scalar{{strings.Repeat("é", 300), 1}}},
	} {
		got, err := readAll(bytes.NewReader(appendRecord(nil, appendEvent(nil, want))))
		if err != nil || !reflect.DeepEqual(got, []Event{want}) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// Messages of other programs: unknown fields, other kinds of values, groups of fields
// in another order.
func TestReadForeign(t *testing.T) {
	message := unhex(`
		2a 0a 0a 08                summary, one value:
		4a 02 0a 00                  field 9, metadata
		0a 02 6c 72                  tag "lr", and no simple_value
		2a 0b 0a 09 15             summary, one value, simple_value first:
		00 00 80 3f                  1
		0a 02 6c 72                  tag "lr"
		10 07                      step 7
		9d 06 01 02 03 04          field 99, 4 bytes
		92 06 01 ff                field 98, a string
		0d 01 02 03 04             field 1 with 4 bytes: not a wall time
	`)
	got, err := readAll(bytes.NewReader(appendRecord(nil, message)))
	want := []Event{{Step: 7, Scalars: []Scalar{{"lr", 1}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestReadBroken(t *testing.T) {
	flipped := func(at int) []byte {
		b := bytes.Clone(golden)
		b[at] ^= 1
		return b
	}
	message := func(s string) []byte { return appendRecord(nil, unhex(s)) }
	for _, c := range []struct {
		name  string
		data  []byte
		event int // events before the error
		want  string
	}{
		{"a bit of the length", flipped(0), 0, "event 1 at byte 0: length: want the masked CRC"},
		{"a bit of its CRC", flipped(8), 0, "event 1 at byte 0: length: want the masked CRC"},
		{"a bit of the second event", flipped(40 + 12), 1, "event 2 at byte 40: data: want the masked CRC"},
		{"a bit of the last CRC", flipped(len(golden) - 1), 2, "event 3 at byte 100: data: want the masked CRC"},
		{"a broken varint", message("10 ff"), 0, "field 2: want a varint"},
		{"a varint of 11 bytes", message("10 ff ff ff ff ff ff ff ff ff ff 01"), 0, "field 2: want a varint"},
		{"a long string", message("1a 05 61"), 0, "field 3: want its bytes, got a length beyond"},
		{"a string of 2^64-1 bytes", message("1a ff ff ff ff ff ff ff ff ff 01 61"), 0,
			"field 3: want its bytes, got a length beyond"},
		{"half a double", message("09 00 00"), 0, "field 1: want 8 bytes, got 2"},
		{"half a key", message("80"), 0, "want a field's number"},
		{"wire type 3", message("0b"), 0, "field 1: want a wire type of 0, 1, 2 or 5, got 3"},
		{"within a value", message("2a 04 0a 02 0a 09"), 0, "field 1: want its bytes"},
	} {
		events, err := readAll(bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) || len(events) != c.event {
			t.Errorf("%s: got %d events and error %v; want %d and %q", c.name, len(events), err, c.event, c.want)
		}
	}
}

// A crash cuts a file anywhere: what is whole is read, and the error says it is a cut.
func TestReadCut(t *testing.T) {
	ends := map[int]int{0: 0, 40: 1, 100: 2, 139: 3} // bytes: events
	whole := 0
	for n := range len(golden) + 1 {
		if k, ok := ends[n]; ok {
			whole = k
		}
		events, err := readAll(bytes.NewReader(golden[:n]))
		if len(events) != whole {
			t.Errorf("%d bytes: got %d events, want %d", n, len(events), whole)
		}
		if _, ok := ends[n]; ok != (err == nil) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: got error %v", n, err)
		}
	}
}

// A length is only believed as far as there are bytes.
func TestReadAllocatesNoMoreThanThereIs(t *testing.T) {
	header := unhex("00 00 00 00 00 01 00 00") // 2^40
	record := append(header, 0, 0, 0, 0)
	crc := maskedCRC(header[:8])
	for i := range 4 {
		record[8+i] = byte(crc >> (8 * i))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readAll(bytes.NewReader(record))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a record of none", n)
	}
}

func TestWriterKeepsFirstError(t *testing.T) {
	w, err := Create(t.TempDir(), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	first := w.Scalars(1, 1, Scalar{"a", 1})
	if first == nil || w.Scalars(1, 2) != first || w.Close() != first {
		t.Errorf("a write to a closed file: %v; want the same error again, and from Close", first)
	}
}

// FuzzRead reads any bytes, bare and as the data of one record: no panic, and what is
// read survives being written.
func FuzzRead(f *testing.F) {
	f.Add(golden)
	f.Add(golden[12:36])
	f.Add(golden[52:96])
	f.Add(golden[112:135])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, file := range [][]byte{b, appendRecord(nil, b)} {
			events, _ := readAll(bytes.NewReader(file))
			for _, e := range events {
				written := appendEvent(nil, e)
				again, err := parseEvent(written)
				if err != nil || !bytes.Equal(appendEvent(nil, again), written) {
					t.Fatalf("%+v was written and read as %+v, %v", e, again, err)
				}
			}
		}
	})
}
