package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What PyTorch has saved is read as it is, in its order.
func TestReadsWhatTorchSaves(t *testing.T) {
	tensors, err := Read(filepath.Join("testdata", "forms.bin"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "forms.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		DType   string
		Shape   []int
		Numbers []float32
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(tensors) != len(want) || tensors[0].Name != "f32" || tensors[1].Name != "transposed" {
		t.Errorf("%d tensors, want %d", len(tensors), len(want))
	}
	names := map[string]string{"torch.float32": "F32", "torch.float64": "F64", "torch.float16": "F16",
		"torch.bfloat16": "BF16"}
	for _, x := range tensors {
		w := want[x.Name]
		values, err := x.Float32s()
		if err != nil || !slices.Equal(x.Shape, w.Shape) || string(x.DType) != names[w.DType] ||
			!slices.Equal(values, w.Numbers) {
			t.Errorf("%s: %s %v %v, want %s %v %v (%v)", x.Name, x.DType, x.Shape, values, w.DType, w.Shape, w.Numbers, err)
		}
	}
}

// archiveOf is a file of torch.save with a pickle and one storage of 16 bytes.
func archiveOf(t testing.TB, pickle string, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range map[string]string{"x/data.pkl": pickle, "x/byteorder": "little",
		"x/data/0": "0123456789abcdef"} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = w.Write([]byte(data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tensorOf is a pickle of {"a": tensor} of the storage, with what stands between its class and its end.
func tensorOf(class, numbers, view string) string {
	return "\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagec" + class +
		"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK" + numbers + "tQ" + view + "tRs."
}

const inOrder = "K\x00K\x02K\x02\x86K\x02K\x01\x86\x89)"

func TestOneTensor(t *testing.T) {
	text := archiveOf(t, tensorOf("torch\nFloatStorage\n", "\x04", inOrder), zip.Store)
	x, err := parse(bytes.NewReader(text), int64(len(text)))
	if err != nil || len(x) != 1 || x[0].Name != "a" || !slices.Equal(x[0].Shape, []int{2, 2}) ||
		string(x[0].Data) != "0123456789abcdef" {
		t.Fatalf("%v, %v", x, err)
	}
}

// A pickle is a program: whatever a dictionary of tensors does not need is not run.
func TestRefused(t *testing.T) {
	good := tensorOf("torch\nFloatStorage\n", "\x04", inOrder)
	for name, c := range map[string]struct{ pickle, want string }{
		"a call":              {"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", `want names of tensors in f32, f64, f16 or bf16 alone, got "os.system"`},
		"a call of builtins":  {"\x80\x02cbuiltins\neval\n.", `got "builtins.eval"`},
		"another storage":     {tensorOf("torch\nLongStorage\n", "\x04", inOrder), `got "torch.LongStorage"`},
		"an instance":         {"(ios\nsystem\n.", "want what a state dict of tensors needs, got opcode 0x69"},
		"a newer global":      {"\x80\x02X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.", "got opcode 0x93"},
		"an object":           {"\x80\x02ccollections\nOrderedDict\n)\x81.", "got opcode 0x81"},
		"an extension":        {"\x80\x02\x82\x01.", "got opcode 0x82"},
		"a persistent name":   {"\x80\x02Pabc\n.", "got opcode 0x50"},
		"a later protocol":    {"\x80\x04}.", "want protocol 2 or 3, got 4"},
		"nothing":             {"", "want 1 bytes, got the end"},
		"no end":              {good[:len(good)-1], "want 1 bytes, got the end"},
		"a long text":         {"\x80\x02X\xff\xff\xff\xff", "want 4294967295 bytes, got the end"},
		"two objects":         {"\x80\x02}}.", "want one object at its end, got 2"},
		"a list":              {"\x80\x02).", "want a dictionary of tensors, got a torchfile.tuple"},
		"a number":            {"\x80\x02}X\x01\x00\x00\x00aK\x01s.", `want names of tensors, each once, got "a" of a int64`},
		"a name twice":        {good[:len(good)-1] + good[3:len(good)-1] + ".", `want names of tensors, each once, got "a"`},
		"a mark":              {"\x80\x02(.", "want a dictionary of tensors, got a torchfile.mark"},
		"no mark":             {"\x80\x02}u.", "want a mark on the stack, got none"},
		"a mark as a key":     {"\x80\x02}(K\x01s.", "want an object on the stack, got a mark"},
		"nothing remembered":  {"\x80\x02h\x07.", "want an object that is remembered, got number 7"},
		"odd pairs":           {"\x80\x02}(K\x01u.", "want pairs for a dictionary"},
		"an empty stack":      {"\x80\x02R.", "want an object on the stack, got none"},
		"a call of nothing":   {"\x80\x02K\x01)R.", `want tensors and dictionaries made, got a call of ""`},
		"past the storage":    {tensorOf("torch\nFloatStorage\n", "\x04", "K\x01K\x02K\x02\x86K\x02K\x01\x86\x89)"), "want a view of a storage of 4 numbers, got [2 2] from 1 on"},
		"strides past it":     {tensorOf("torch\nFloatStorage\n", "\x04", "K\x00K\x02K\x02\x86K\x01K\x04\x86\x89)"), "want a view of a storage of 4 numbers, got [2 2] by [1 4] from 0 on"},
		"a negative size":     {tensorOf("torch\nFloatStorage\n", "\x04", "K\x00J\xff\xff\xff\xffK\x02\x86K\x02K\x01\x86\x89)"), "want sizes of a storage of 4 numbers, got [-1 2]"},
		"a negative offset":   {tensorOf("torch\nFloatStorage\n", "\x04", "J\xff\xff\xff\xffK\x02K\x02\x86K\x02K\x01\x86\x89)"), "from -1 on"},
		"a negative stride":   {tensorOf("torch\nFloatStorage\n", "\x04", "K\x03K\x02K\x02\x86J\xfe\xff\xff\xffJ\xff\xff\xff\xff\x86\x89)"), "want strides within a storage"},
		"more than there are": {tensorOf("torch\nFloatStorage\n", "\x05", inOrder), "in 5"},
		"expanded":            {tensorOf("torch\nFloatStorage\n", "\x04", "K\x00M\xff\xffM\xff\xff\x86K\x00K\x00\x86\x89)"), "want sizes of a storage"},
		"expanded less":       {tensorOf("torch\nFloatStorage\n", "\x04", "K\x00M\xff\xffK\x02\x86K\x00K\x00\x86\x89)"), "want tensors of the size of the file, got more"},
		"no such storage":     {strings.Replace(good, "\x000X", "\x001X", 1), "data/1: file does not exist"},
		"another persistent":  {"\x80\x02K\x01Q.", "want a storage of tensors, got another object"},
	} {
		text := archiveOf(t, c.pickle, zip.Store)
		if _, err := parse(bytes.NewReader(text), int64(len(text))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	text := archiveOf(t, good, zip.Deflate)
	if _, err := parse(bytes.NewReader(text), int64(len(text))); err == nil || !strings.Contains(err.Error(), "or it is compressed") {
		t.Errorf("compressed: error %v", err)
	}
	if _, err := parse(strings.NewReader("\x80\x02}."), 4); err == nil || !strings.Contains(err.Error(), "want a zip archive of torch.save") {
		t.Errorf("no archive: error %v", err)
	}
	deep := archiveOf(t, "\x80\x02"+strings.Repeat("(", 5000)+".", zip.Store)
	if _, err := parse(bytes.NewReader(deep), int64(len(deep))); err == nil || !strings.Contains(err.Error(), "want a stack of at most 4096") {
		t.Errorf("deep: error %v", err)
	}
}

// A file that is cut short anywhere, or has another byte, is read or refused.
func TestBrokenFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "forms.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(text); n += 7 {
		if _, err := parse(bytes.NewReader(text[:n]), int64(n)); err == nil {
			t.Errorf("%d bytes of %d are read", n, len(text))
		}
		broken := bytes.Clone(text)
		broken[n] ^= 0x55
		_, _ = parse(bytes.NewReader(broken), int64(len(broken))) // must end
	}
}

func FuzzUnpickle(f *testing.F) {
	f.Add([]byte(tensorOf("torch\nFloatStorage\n", "\x04", inOrder)))
	f.Add([]byte("\x80\x02ccollections\nOrderedDict\n)Rq\x01(X\x01\x00\x00\x00ah\x01uN}b."))
	f.Fuzz(func(t *testing.T, pickle []byte) {
		text := archiveOf(t, string(pickle), zip.Store)
		tensors, err := parse(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		for _, x := range tensors {
			if values, err := x.Float32s(); err == nil && len(values) != x.Len() {
				t.Errorf("%s has %d numbers of %d", x.Name, len(values), x.Len())
			}
		}
	})
}
