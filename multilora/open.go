package multilora

import (
	"fmt"
	"path/filepath"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// Open attaches an adapter in any form to a model: a folder of Save (see Load), a PEFT
// folder (see LoadPEFT), or a GGUF file (see LoadGGUF), for which the model must be a
// *llama.Model. A model that is not the one the adapter was made for, or that holds the
// adapter already, is a *BaseError, unless the options say otherwise.
func Open(model Model, path string, o Options) (*Adapter, error) {
	tensor.NotNil("multilora.Open", "a model", model)
	info, err := regular.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		m, ok := model.(*llama.Model)
		if !ok {
			return nil, fmt.Errorf("multilora: %s: want a folder for a model of type %T, got a file", path, model)
		}
		return LoadGGUF(m, path, o)
	}
	if form := formOf(path); form != nil {
		return form.load(model, path, o)
	}
	return nil, fmt.Errorf("multilora: %s: want %s or %s in the folder, got neither", path, InfoFile, PEFTConfigFile)
}

// folderForm is a form of adapter that is a folder.
type folderForm struct {
	files []string // the first one tells
	load  func(Model, string, Options) (*Adapter, error)
}

// formOf is that of a folder; nil: none.
func formOf(dir string) *folderForm {
	for _, form := range []folderForm{
		{[]string{InfoFile, TensorFile}, Load},
		{[]string{PEFTConfigFile, PEFTTensorFile}, LoadPEFT},
	} {
		if pickled := filepath.Join(dir, PEFTPickleFile); form.files[1] == PEFTTensorFile &&
			!regular.Exists(filepath.Join(dir, PEFTTensorFile)) && regular.Exists(pickled) {
			form.files[1] = PEFTPickleFile
		}
		if regular.Exists(filepath.Join(dir, form.files[0])) {
			return &form
		}
	}
	return nil
}

// FilesIn are the names of the files in an adapter's folder that Open reads.
func FilesIn(dir string) []string {
	if form := formOf(dir); form != nil {
		return form.files
	}
	return nil
}
