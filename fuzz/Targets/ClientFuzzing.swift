internal import ClientCore
internal import Wire

/// A client to whom anyone may send anything, while it asks and time goes by.
enum ClientFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    var rack = Rack()
    while !input.isEmpty {
      let how = input.byte()
      switch how % 8 {
      case 0: rack.submit(.get(key: [how]))
      case 1: rack.submit(.set(key: [how], value: input.bytes(Int(how / 8))))
      case 2: rack.submit(.delete(key: [how]))
      case 3: rack.wait(UInt64(input.short()) << UInt64(how / 8))
      case 4: rack.deliver(input.datagram())
      default: rack.answer(&input, how)
      }
    }
    rack.end()
  }

  /// What is around the client.
  private struct Rack {
    var core = ClientCore(ClientConfiguration(client: 77 << 22 | 5, hashSeed: 7), randomSeed: 3)
    var now: UInt64 = 1_000_000_000
    var token: UInt64 = 0
    var unfinished: Set<UInt64> = []
    /// The last requests that it has sent.
    var sent: [Header] = []

    mutating func submit(_ request: ClientRequest) {
      token += 1
      unfinished.insert(token)
      take(core.submit(request, token: token, now: now))
    }

    mutating func wait(_ time: UInt64) {
      now += min(time, 10_000_000_000)
      take(core.advance(to: now))
    }

    mutating func deliver(_ datagram: [UInt8]) {
      take(datagram.withUnsafeBytes { core.receive($0, now: now) })
    }

    /// An answer to one of the last requests, of which the input decides the rest.
    mutating func answer(_ input: inout FuzzInput, _ how: UInt8) {
      let asked = sent.isEmpty ? nil : sent[Int(how / 8) % sent.count]
      deliver(
        input.dressedDatagram(hashSeed: nil) { header in
          header.flags.insert(.reply)
          guard let asked else { return }
          header.operation = asked.operation
          header.client = asked.client
          header.sequence = asked.sequence
          header.keyHash = asked.keyHash
        })
    }

    mutating func take(_ effects: [ClientEffect]) {
      for effect in effects {
        switch effect {
        case .send(let bytes):
          guard let message = try? Message(datagram: bytes) else {
            require(false, "a client's request can be read")
            return
          }
          let header = message.header
          require(
            header.sequence &- header.acknowledged < UInt64(WireLimits.outstandingMax),
            "a client has at most 64 requests outstanding")
          sent.append(header)
          if sent.count > 8 { sent.removeFirst() }
        case .complete(let token, _):
          require(unfinished.remove(token) != nil, "a request ends once")
        }
      }
      require(core.unfinished == unfinished.count, "as many requests as have not ended")
    }

    /// After the longest deadline nothing is left.
    mutating func end() {
      now += 20_000_000_000
      take(core.advance(to: now))
      require(unfinished.isEmpty, "every request ends by its deadline")
    }
  }
}
