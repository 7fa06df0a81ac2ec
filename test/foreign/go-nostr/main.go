// go-nostr. The conversation with the driver is that of ../programs/line.mjs.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"sync"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/keyer"
	"github.com/nbd-wtf/go-nostr/nip59"
	"github.com/nbd-wtf/go-nostr/nip77"
	"github.com/nbd-wtf/go-nostr/nip77/negentropy"
	"github.com/nbd-wtf/go-nostr/nip77/negentropy/storage/vector"
)

type order struct {
	Number  int
	Order   string
	As      string
	URL     string
	Secret  string
	To      string
	Text    string
	Name    string
	IDs     []string
	Filters nostr.Filters
	Filter  nostr.Filter
	Events  []nostr.Event
}

type line map[string]any

var out sync.Mutex

func say(said line) {
	out.Lock()
	defer out.Unlock()
	json.NewEncoder(os.Stdout).Encode(said)
}

type person struct {
	url  string
	keys keyer.KeySigner
	pool *nostr.SimplePool
}

func open(url string, secret string) (*person, error) {
	keys, err := keyer.NewPlainKeySigner(secret)
	if err != nil {
		return nil, err
	}
	pool := nostr.NewSimplePool(context.Background(), nostr.WithAuthHandler(
		func(ctx context.Context, event nostr.RelayEvent) error { return keys.SignEvent(ctx, event.Event) },
	))
	return &person{url, keys, pool}, nil
}

func (p *person) publish(ctx context.Context, event nostr.Event) error {
	relay, err := p.pool.EnsureRelay(p.url)
	if err != nil {
		return err
	}
	return relay.Publish(ctx, event)
}

func (p *person) send(ctx context.Context, to string, text string) (string, error) {
	author, _ := p.keys.GetPublicKey(ctx)
	message := nostr.Event{PubKey: author, Kind: 14, CreatedAt: nostr.Now(), Tags: nostr.Tags{{"p", to}}, Content: text}
	message.ID = message.GetID()
	encrypt := func(plaintext string) (string, error) { return p.keys.Encrypt(ctx, plaintext, to) }
	sign := func(event *nostr.Event) error { return p.keys.SignEvent(ctx, event) }
	wrap, err := nip59.GiftWrap(message, to, encrypt, sign, nil)
	if err != nil {
		return "", err
	}
	return wrap.ID, p.publish(ctx, wrap)
}

func (p *person) signed(ctx context.Context, kind int, tags nostr.Tags, content string) (nostr.Event, error) {
	event := nostr.Event{Kind: kind, CreatedAt: nostr.Now(), Tags: tags, Content: content}
	err := p.keys.SignEvent(ctx, &event)
	return event, err
}

func (p *person) write(ctx context.Context, to string, text string) (string, error) {
	event, err := p.signed(ctx, 4, nostr.Tags{{"p", to}}, text)
	if err != nil {
		return "", err
	}
	return event.ID, p.publish(ctx, event)
}

func (p *person) remove(ctx context.Context, ids []string) error {
	tags := nostr.Tags{{"k", "1059"}}
	for _, id := range ids {
		tags = append(tags, nostr.Tag{"e", id})
	}
	event, err := p.signed(ctx, 5, tags, "")
	if err != nil {
		return err
	}
	return p.publish(ctx, event)
}

func (p *person) listen(ctx context.Context, filters nostr.Filters, name string) {
	for event := range p.pool.SubMany(ctx, []string{p.url}, filters) {
		say(line{"name": name, "event": event.ID})
	}
	say(line{"name": name, "ended": "the channel was closed"})
}

func (p *person) count(ctx context.Context, filter nostr.Filter) (int64, error) {
	relay, err := p.pool.EnsureRelay(p.url)
	if err != nil {
		return 0, err
	}
	return relay.Count(ctx, nostr.Filters{filter})
}

// What nip77.NegentropySync does, on a connection that is authenticated: it opens one of its own and cannot be told to.
func (p *person) reconcile(ctx context.Context, filter nostr.Filter, events []nostr.Event) (line, error) {
	const id = "go-nostr-tmp"
	storage := vector.New()
	for _, event := range events {
		storage.Insert(event.CreatedAt, event.ID)
	}
	storage.Seal()
	set := negentropy.New(storage, 1024*1024)
	done := make(chan error, 1)
	var relay *nostr.Relay
	relay, err := nostr.RelayConnect(ctx, p.url, nostr.WithCustomHandler(func(data []byte) {
		switch message := nip77.ParseNegMessage(data).(type) {
		case *nip77.ErrorEnvelope:
			done <- errors.New(message.Reason)
		case *nip77.MessageEnvelope:
			next, err := set.Reconcile(message.Message)
			if err != nil || next == "" {
				done <- err
				return
			}
			said, _ := nip77.MessageEnvelope{SubscriptionID: id, Message: next}.MarshalJSON()
			relay.Write(said)
		}
	}))
	if err != nil {
		return nil, err
	}
	defer relay.Close()
	if err := p.authenticate(ctx, relay); err != nil {
		return nil, err
	}
	need, have := []string{}, []string{}
	var both sync.WaitGroup
	both.Add(2)
	collect := func(from chan string, to *[]string) {
		defer both.Done()
		for id := range from {
			*to = append(*to, id)
		}
	}
	go collect(set.HaveNots, &need)
	go collect(set.Haves, &have)
	said, _ := nip77.OpenEnvelope{SubscriptionID: id, Filter: filter, Message: set.Start()}.MarshalJSON()
	if err := <-relay.Write(said); err != nil {
		return nil, err
	}
	if err := <-done; err != nil {
		return nil, err
	}
	both.Wait()
	return line{"need": need, "have": have}, nil
}

// The relay asks with the first request; that one is answered by CLOSED, since go-nostr authenticates when it is told to.
func (p *person) authenticate(ctx context.Context, relay *nostr.Relay) error {
	asked, err := relay.Subscribe(ctx, nostr.Filters{{LimitZero: true}})
	if err != nil {
		return err
	}
	defer asked.Unsub()
	select {
	case <-asked.ClosedReason:
	case <-ctx.Done():
		return ctx.Err()
	}
	return relay.Auth(ctx, func(event *nostr.Event) error { return p.keys.SignEvent(ctx, event) })
}

func main() {
	log.SetOutput(os.Stderr)
	ctx := context.Background()
	people := sync.Map{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	say(line{"ready": true})
	for lines.Scan() {
		var given order
		// A copy: go-nostr's filters keep the names of tags where they were read, and the scanner reads its next line there.
		if err := json.Unmarshal([]byte(lines.Text()), &given); err != nil {
			log.Fatal(err)
		}
		if given.Order == "open" {
			opened, err := open(given.URL, given.Secret)
			people.Store(given.As, opened)
			answer(given.Number, nil, err)
			continue
		}
		found, _ := people.Load(given.As)
		go obey(ctx, found.(*person), given)
	}
}

func obey(ctx context.Context, p *person, given order) {
	var said any
	var err error
	switch given.Order {
	case "send":
		said, err = p.send(ctx, given.To, given.Text)
	case "write":
		said, err = p.write(ctx, given.To, given.Text)
	case "remove":
		err = p.remove(ctx, given.IDs)
	case "listen":
		go p.listen(ctx, given.Filters, given.Name)
	case "count":
		said, err = p.count(ctx, given.Filter)
	case "reconcile":
		said, err = p.reconcile(ctx, given.Filter, given.Events)
	default:
		err = errors.New("unknown order")
	}
	answer(given.Number, said, err)
}

func answer(number int, said any, err error) {
	if err != nil {
		say(line{"number": number, "refused": err.Error()})
		return
	}
	say(line{"number": number, "answer": said})
}
