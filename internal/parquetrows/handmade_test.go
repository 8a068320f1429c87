package parquetrows

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/agora-ml/agora/internal/columns"
)

// handmade is a file of one optional column of texts, made of one data page of version 1.
type handmade struct {
	header   format.PageHeader
	page     []byte // as it is packed
	metadata func(*format.FileMetaData)
}

func (h handmade) bytes(t testing.TB) []byte {
	t.Helper()
	protocol := new(thrift.CompactProtocol)
	marshal := func(v any) []byte {
		b, err := thrift.Marshal(protocol, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	chunk := append(marshal(&h.header), h.page...)
	texts, optional := format.ByteArray, format.Optional
	m := format.FileMetaData{
		Version: 1, NumRows: 3,
		Schema: []format.SchemaElement{{Name: "schema", NumChildren: 1},
			{Name: "text", Type: &texts, RepetitionType: &optional}},
		RowGroups: []format.RowGroup{{NumRows: 3, Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Type: texts, NumValues: 3, TotalCompressedSize: int64(len(chunk)), DataPageOffset: 4}}}}},
	}
	if h.metadata != nil {
		h.metadata(&m)
	}
	footer := marshal(&m)
	file := slices.Concat([]byte(magic), chunk, footer)
	return append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), magic...)
}

// plainPage has the levels 1, 0, 1 and two texts.
func plainPage() handmade {
	page := []byte("\x02\x00\x00\x00" + "\x03\x05" + "\x01\x00\x00\x00a" + "\x02\x00\x00\x00bc")
	return handmade{page: page, header: format.PageHeader{Type: format.DataPage,
		CompressedPageSize: int32(len(page)), UncompressedPageSize: int32(len(page)),
		DataPageHeader: &format.DataPageHeader{NumValues: 3, Encoding: format.Plain,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}}}
}

func TestHandmade(t *testing.T) {
	got, err := read(t, plainPage().bytes(t), columns.Options{})
	if want := []string{`{"text": "a"}`, `{"text": null}`, `{"text": "bc"}`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("error %v, got %s, want %s", err, got, want)
	}
}

// What says that it is more than it is, is refused, and before memory is made for it.
func TestHostile(t *testing.T) {
	set := func(page string) func(*handmade) {
		return func(h *handmade) {
			h.page = []byte(page)
			h.header.CompressedPageSize, h.header.UncompressedPageSize = int32(len(page)), int32(len(page))
		}
	}
	codec := func(c format.CompressionCodec, packed []byte) func(*handmade) {
		return func(h *handmade) {
			h.page, h.header.CompressedPageSize = packed, int32(len(packed))
			h.metadata = func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = c }
		}
	}
	meta := func(f func(*format.FileMetaData)) func(*handmade) { return func(h *handmade) { h.metadata = f } }
	page := func(f func(*format.DataPageHeader)) func(*handmade) {
		return func(h *handmade) { f(h.header.DataPageHeader) }
	}
	chunk := func(f func(*format.ColumnMetaData)) func(*handmade) {
		return meta(func(m *format.FileMetaData) { f(&m.RowGroups[0].Columns[0].MetaData) })
	}
	long := make([]byte, 100<<20)
	packed := func(c interface {
		Encode(dst, src []byte) ([]byte, error)
	}) []byte {
		b, err := c.Encode(nil, long)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const levels = "\x02\x00\x00\x00\x03\x07" // three are there
	for name, c := range map[string]struct {
		change func(*handmade)
		want   string
	}{
		"snappy of too much": {codec(format.Snappy, packed(&parquet.Snappy)), "want snappy of 17 bytes"},
		"gzip of too much":   {codec(format.Gzip, packed(&parquet.Gzip)), "GZIP: want 17 bytes, got more"},
		"brotli of too much": {codec(format.Brotli, packed(&parquet.Brotli)), "BROTLI: want 17 bytes, got more"},
		"zstd of too much":   {codec(format.Zstd, packed(&parquet.Zstd)), "ZSTD: want 17 bytes, got more"},
		"zstd that is none":  {codec(format.Zstd, []byte("abc")), "ZSTD: want 17 bytes, got: "},
		"LZ4": {codec(format.Lz4Raw, nil),
			"want pages packed by snappy, gzip, brotli or zstd, or not at all, got LZ4_RAW"},
		"a page unpacked to 2 GB": {func(h *handmade) { h.header.UncompressedPageSize = 1<<31 - 1 },
			"of at most 268435456 unpacked"},
		"a page beyond the column": {func(h *handmade) { h.header.CompressedPageSize = 1 << 30 }, "want a page within the"},
		"2 billion values": {page(func(h *format.DataPageHeader) { h.NumValues = 1<<31 - 1 }),
			"want at most 16777216 values in a page"},
		"values below 0": {page(func(h *format.DataPageHeader) { h.NumValues = -1 }),
			"want at most 16777216 values in a page, got -1"},
		"fewer values": {page(func(h *format.DataPageHeader) { h.NumValues = 2 }),
			"want more bytes"},
		"a run of 16 million": {set("\x04\x00\x00\x00\x80\x80\x80\x08\x01"), "want 3 numbers in runs, got more"},
		"many runs": {set("\xff\x00\x00\x00" + strings.Repeat("\x80\x08\x01", 85)),
			"want 3 numbers in runs, got more"},
		"levels of 1 GB": {set("\xff\xff\xff\x3f\x03\x05"), "want more bytes"},
		"a level of 3":   {set("\x02\x00\x00\x00\x06\x03"), "levels: want at most 1, got 3"},
		"a text of 4 GB": {set(levels + "\xff\xff\xff\xffabc"), `column "text" of type BYTE_ARRAY`},
		"too few texts":  {set(levels + "\x01\x00\x00\x00a"), "want 3 values, got 1"},
		"places without a dictionary": {page(func(h *format.DataPageHeader) { h.Encoding = format.RLEDictionary }),
			"want a dictionary before places"},
		"packed lengths of 2 billion": {func(h *handmade) {
			set(levels + "\x80\x01\x04\xff\xff\xff\xff\x07\x00")(h)
			h.header.DataPageHeader.Encoding = format.DeltaLengthByteArray
		}, "want at most 3 packed numbers, got 2147483647"},
		"packed lengths of 200 bits": {func(h *handmade) {
			set(levels + "\x80\x01\x04\x03\x00\x00\xc8\x00\x00\x00")(h)
			h.header.DataPageHeader.Encoding = format.DeltaLengthByteArray
		}, "want numbers of 32 bits, got 200"},
		"prefixes of 1 GB": {func(h *handmade) {
			set(levels + "\x80\x01\x04\x02\x00\x80\x80\x80\x80\x08\x00\x00\x00\x00" +
				"\x80\x01\x04\x02\x02\x00\x00\x00\x00\x00" + "a")(h)
			h.header.DataPageHeader.Encoding = format.DeltaByteArray
		}, "want at most 268435456 bytes of texts in a page"},
		"a wrong checksum": {func(h *handmade) { h.header.CRC = 1 }, "want a page with the checksum before it"},
		"old levels": {page(func(h *format.DataPageHeader) { h.DefinitionLevelEncoding = format.BitPacked }),
			"want levels in runs, got BIT_PACKED"},
		"a page of nothing": {func(h *handmade) { h.header.DataPageHeader = nil }, "want what a page is before it, got none"},
		"more rows": {meta(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 1 << 60 }),
			`row 4: column "text" of type BYTE_ARRAY: want a value that begins a row`},
		"fewer rows": {meta(func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 2 }),
			"want as many rows as the row group has, got more"},
		"2 billion fields": {meta(func(m *format.FileMetaData) { m.Schema[0].NumChildren = 1<<31 - 1 }),
			"want at most 1 fields in it"},
		"fields below 0": {meta(func(m *format.FileMetaData) { m.Schema[0].NumChildren = -1 }),
			"want columns, got none"},
		"deep fields": {meta(func(m *format.FileMetaData) {
			deep := slices.Repeat([]format.SchemaElement{{Name: "x", NumChildren: 1}}, 100000)
			m.Schema = append(deep, m.Schema[1])
		}), "want at most 32 fields in one another"},
		"a column before the file": {chunk(func(m *format.ColumnMetaData) { m.DataPageOffset = -1 }),
			"want values within the file"},
		"a column of 8 EB": {chunk(func(m *format.ColumnMetaData) { m.TotalCompressedSize = 1<<63 - 1 }),
			"want values within the file"},
		"columns of other files": {meta(func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "/etc/passwd" }),
			"want a column in the file itself"},
		"another type": {chunk(func(m *format.ColumnMetaData) { m.Type = format.Int32 }),
			"want values of type BYTE_ARRAY, got INT32"},
		"more columns": {meta(func(m *format.FileMetaData) {
			m.RowGroups[0].Columns = append(m.RowGroups[0].Columns, m.RowGroups[0].Columns[0])
		}), "want the 1 columns of the schema, got 2"},
	} {
		h := plainPage()
		c.change(&h)
		checkRefused(t, name, h.bytes(t), c.want)
	}
	footer := func(text string) []byte {
		b := append([]byte(magic), text...)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), magic...)
	}
	whole := plainPage().bytes(t)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"an empty file":            {nil, "want a Parquet file, got one of 0 bytes"},
		"another file":             {[]byte("instruction,input,output\na,b,c\n"), "want a Parquet file, which begins and ends with PAR1"},
		"a cut file":               {whole[:len(whole)-1], "want a Parquet file, which begins and ends with PAR1"},
		"an encrypted file":        {append(whole[:len(whole)-4:len(whole)-4], encrypted...), "got an encrypted one"},
		"a footer of 4 GB":         {[]byte("PAR1\xff\xff\xff\xffPAR1"), "footer: want at most 0 bytes"},
		"a list of 2 billion":      {footer("\x29\xfc\xff\xff\xff\xff\x07"), "footer: want more bytes"},
		"a text of 2 billion":      {footer("\x29\x1c\x48\xff\xff\xff\xff\x07"), "footer: want more bytes"},
		"many structures":          {footer("\x29\xfc\x80\x80\x40" + strings.Repeat("\x00", 1<<20)), "want at most 262144 row groups"},
		"lists in lists":           {footer("\x59" + strings.Repeat("\x19", 1000)), "in one another, got more"},
		"structures in structures": {footer(strings.Repeat("\x5c", 1000)), "in one another, got more"},
		"a list of another type":   {footer("\x29\x15\x02"), "want a list of Thrift's type 12, got one of 5"},
	} {
		checkRefused(t, name, c.file, c.want)
	}
}

// What is held is asked for first: pages, and what reads each of very many columns.
func TestAllow(t *testing.T) {
	wide := plainPage()
	wide.metadata = func(m *format.FileMetaData) {
		m.Schema[0].NumChildren = 20000
		m.Schema = append(m.Schema[:1:1], slices.Repeat(m.Schema[1:], 20000)...)
		m.RowGroups[0].Columns = slices.Repeat(m.RowGroups[0].Columns, 20000)
	}
	large := plainPage()
	large.header.UncompressedPageSize = maxPage
	tooMuch := errors.New("too much")
	for name, h := range map[string]handmade{"columns": wide, "a page": large} {
		asked := 0
		_, err := read(t, h.bytes(t), columns.Options{Allow: func(bytes int) error {
			if asked = max(asked, bytes); bytes > 1<<27 {
				return tooMuch
			}
			return nil
		}})
		if !errors.Is(err, tooMuch) || asked <= 1<<27 {
			t.Errorf("%s: %d bytes were asked for, error %v", name, asked, err)
		}
	}
	asked := 0
	file := written(t, slices.Repeat([]everything{{Text: strings.Repeat("a", 1000)}}, 3000),
		parquet.MaxRowsPerRowGroup(100), parquet.PageBufferSize(4096))
	rows, err := read(t, file, columns.Options{Allow: func(bytes int) error {
		asked = max(asked, bytes)
		return nil
	}})
	if columns := 17; err != nil || len(rows) != 3000 || asked > columns*maxHeader+(200<<10) {
		t.Errorf("%d rows, %d bytes were held, error %v", len(rows), asked, err)
	}
}

// checkRefused makes sure that a file is an error, for which little memory was made.
func checkRefused(t *testing.T, name string, file []byte, want string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, err := read(t, file, columns.Options{})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %d rows, error %v, want %q", name, len(rows), err, want)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 48<<20 {
		t.Errorf("%s: %d bytes were made", name, made)
	}
}

// No bytes make anything but rows or an error.
func FuzzRead(f *testing.F) {
	f.Add(plainPage().bytes(f))
	f.Add(written(f, []everything{{Text: "a", Words: []string{"b", "c"}}, {}}, parquet.DataPageVersion(1)))
	f.Add(written(f, []everything{{Text: "a", Messages: []message{{"user", []part{{"text", nil}}}}}}))
	for _, encoding := range []format.Encoding{format.DeltaByteArray, format.DeltaLengthByteArray, format.RLEDictionary} {
		h := plainPage()
		h.header.DataPageHeader.Encoding = encoding
		f.Add(h.bytes(f))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		err := Read(t.Context(), bytes.NewReader(file), int64(len(file)), columns.Options{},
			func(int, []byte, error) error { return nil })
		if err != nil && strings.Contains(err.Error(), "runtime error") {
			t.Logf("a panic that became an error: %v", err)
		}
	})
}

// Whatever byte of a file is another, and wherever it ends, nothing but rows or an error comes of it.
func TestDamaged(t *testing.T) {
	for _, file := range [][]byte{
		plainPage().bytes(t),
		written(t, []everything{{Text: "a", Words: []string{"b", "c"}, Messages: []message{{"user", []part{{"text", nil}}}}}, {}},
			parquet.Compression(&parquet.Snappy)),
	} {
		for i := range file {
			for _, x := range []byte{0xff, file[i] ^ 8} {
				damaged := slices.Clone(file)
				damaged[i] = x
				_, _ = read(t, damaged, columns.Options{})
			}
			_, _ = read(t, file[:i], columns.Options{})
		}
	}
}
