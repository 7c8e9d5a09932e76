package tokens

import "sync"

// maxRemembered is how many counts one generation holds; two of them take at most 4 MB.
const maxRemembered = 1 << 15

// key stands for a text: its hash, so that the text itself is not kept.
type key struct {
	hash uint64
	len  int
	kind kind
}

// memory remembers counts. When a generation is full it becomes the older one, and what the older one held and nobody asked
// for since is forgotten.
type memory struct {
	mu            sync.Mutex
	recent, older map[key]int32
}

func (m *memory) get(k key) (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.recent[k]; ok {
		return int(n), true
	}
	n, ok := m.older[k]
	if ok {
		m.store(k, n)
	}
	return int(n), ok
}

func (m *memory) put(k key, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store(k, int32(n))
}

func (m *memory) store(k key, n int32) {
	if m.recent == nil || len(m.recent) >= maxRemembered {
		m.recent, m.older = map[key]int32{}, m.recent
	}
	m.recent[k] = n
}
