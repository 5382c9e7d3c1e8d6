import Directory
import Testing
import Wire

@testable import ControllerCore

@Suite struct PolicyTests {
  /// Sends `rates[hash]` requests per second as samples, or to the directory's exact counts.
  func load(
    _ rack: TestRack, _ rates: [UInt64: Double], readShare: Double = 1, milliseconds: Int
  ) {
    var owed: [UInt64: Double] = [:]
    for _ in 0..<milliseconds {
      for (hash, rate) in rates.sorted(by: { $0.key < $1.key }) {
        owed[hash, default: 0] += rate / 1000
        while owed[hash, default: 0] >= 1 {
          owed[hash, default: 0] -= 1
          let isRead = Double.random(in: 0..<1, using: &rack.random) < readShare
          if let entry = rack.core.entries[hash]?.index {
            if isRead {
              rack.reads[entry, default: 0] += 1
            } else {
              rack.writes[entry, default: 0] += 1
            }
          }
          rack.handle(
            .sample(
              keyHash: hash, key: testKey(hash), operation: isRead ? .get : .set, weight: 1))
        }
      }
      rack.advance()
    }
  }

  func automaticRack(servers: Int = 4) -> TestRack {
    let rack = TestRack(servers: servers) { $0.policy.automatic = true }
    rack.serve()
    return rack
  }

  @Test func aHotKeyIsPromotedWithinTensOfMillisecondsAndAColdOneNot() {
    let rack = automaticRack()
    var rates: [UInt64: Double] = [:]
    for number in UInt64(1)...40 { rates[hash(homeOf: 0, of: 4, number: number)] = 100 }
    load(rack, rates.mapValues { _ in 100 }, milliseconds: 300)
    let hot = hash(homeOf: 1, of: 4, number: 99)
    rates[hot] = 4000
    let start = rack.now
    while rack.mode(hot) != .hot, rack.now < start + 1_000_000_000 {
      load(rack, rates, milliseconds: 5)
    }
    #expect(rack.now - start <= 100_000_000)
  }

  @Test func aKeyThatBecomesHotIsDecidedAboutAsSoonAsItsSamplesAreTold() {
    let rack = automaticRack()
    func sample(_ hash: UInt64) {
      rack.handle(.sample(keyHash: hash, key: testKey(hash), operation: .get, weight: 1))
    }
    // Many keys, each asked for once.
    for number in UInt64(1)...4000 {
      sample(hash(homeOf: 0, of: 4, number: 1000 + number))
      if number % 4 == 0 { rack.advance() }
    }
    let hot = hash(homeOf: 1, of: 4, number: 999)
    rack.handle(.drained(now: rack.now))
    for _ in 0..<7 { sample(hot) }
    rack.handle(.drained(now: rack.now))
    #expect(rack.mode(hot) == nil)
    for _ in 0..<2 { sample(hot) }
    rack.handle(.drained(now: rack.now))
    #expect(rack.mode(hot) == .adding)
    #expect(rack.core.promotionAsked(hot) == rack.now)
    #expect(rack.core.entries.count == 1)
    rack.run { rack.mode(hot) == .hot }
    #expect(rack.core.promotionAsked(hot) == nil)
  }

  @Test func aFloodOfKeysThatEachSeemHotIsPromotedNoFasterThanTheBudget() {
    let rack = TestRack(servers: 4) {
      $0.policy.automatic = true
      $0.policy.movesBurst = 4
      $0.policy.movesPerSecond = 10
      $0.capacity = 4096
    }
    rack.serve()
    for number in UInt64(1)...500 {
      let key = hash(homeOf: Int(number % 4), of: 4, number: number)
      for _ in 0..<20 {
        rack.handle(.sample(keyHash: key, key: testKey(key), operation: .get, weight: 1))
      }
      rack.handle(.drained(now: rack.now))
      rack.advance()
    }
    let totals = rack.core.state.totals
    #expect(totals.promotions >= 4 && totals.promotions + totals.demotions <= 10)
  }

  @Test func whereRoomIsShortKeysThatWereHotAWhileAgoLeaveEarlier() {
    func hotAfterAChange(hotKeysMax: Int) -> Int {
      let rack = TestRack(servers: 4) {
        $0.policy.automatic = true
        $0.policy.hotKeysMax = hotKeysMax
        $0.policy.minimumStay = 500_000_000
      }
      rack.serve()
      let keys = (0..<8).map { hash(homeOf: $0 % 4, of: 4, number: UInt64($0) + 1) }
      load(
        rack, Dictionary(uniqueKeysWithValues: keys.map { ($0, 500.0) }), milliseconds: 1500)
      #expect(rack.core.state.keys.count == 8)
      load(rack, [keys[0]: 4000], milliseconds: 4000)
      return rack.core.state.keys.count
    }
    #expect(hotAfterAChange(hotKeysMax: 64) == 8)
    #expect(hotAfterAChange(hotKeysMax: 8) == 1)
  }

  @Test func theShareOfAKeyIsRightFromTheBeginning() {
    let rack = automaticRack()
    rack.run(milliseconds: 3000)
    let key = hash(homeOf: 1, of: 4, number: 1)
    var rates: [UInt64: Double] = [key: 1000]
    for number in UInt64(2)...31 { rates[hash(homeOf: 0, of: 4, number: number)] = 100 / 3 }
    rack.promote(key)
    load(rack, rates, milliseconds: 300)
    let share = rack.core.state.keys.first { $0.keyHash == key }?.share ?? 0
    #expect(share > 0.45 && share < 0.55)
  }

  @Test func aKeyThatIsOnlyWrittenHasNoCopiesAndOneThatIsOnlyReadIsEverywhere() {
    #expect(Degree.copies(readShare: 0, rate: 1000, fairRate: 1000, servers: 16) == 0)
    #expect(Degree.copies(readShare: 0.5, rate: 5000, fairRate: 1000, servers: 16) == 0)
    #expect(Degree.copies(readShare: 0.95, rate: 5000, fairRate: 1000, servers: 16) == 3)
    #expect(Degree.copies(readShare: 0.99, rate: 5000, fairRate: 1000, servers: 16) == 7)
    #expect(Degree.copies(readShare: 1, rate: 5000, fairRate: 1000, servers: 16) == 15)
    #expect(Degree.copies(readShare: 0.99, rate: 400, fairRate: 1000, servers: 16) == 1)
    #expect(Degree.copies(readShare: 1, rate: 400, fairRate: 1000, servers: 1) == 0)
  }

  @Test func theDegreeFollowsTheReadShare() {
    let rack = automaticRack(servers: 8)
    let key = hash(homeOf: 1, of: 8)
    load(rack, [key: 4000], readShare: 1, milliseconds: 500)
    #expect(rack.core.state.keys.first?.degree == 8)
    load(rack, [key: 4000], readShare: 0.95, milliseconds: 8000)
    let degree = rack.core.state.keys.first?.degree ?? 0
    #expect(degree >= 3 && degree <= 5)
    load(rack, [key: 4000], readShare: 0, milliseconds: 8000)
    #expect(rack.core.state.keys.first?.degree == 1)
  }

  @Test func aLoadThatFlapsDoesNotMakeTheDirectorySwing() {
    let rack = automaticRack()
    let (a, b) = (hash(homeOf: 1, of: 4, number: 1), hash(homeOf: 2, of: 4, number: 2))
    for round in 0..<100 {
      load(
        rack, [a: round % 2 == 0 ? 2000 : 5, b: round % 2 == 0 ? 5 : 2000], milliseconds: 100)
    }
    let totals = rack.core.state.totals
    #expect(totals.promotions >= 2 && totals.promotions + totals.demotions <= 8)
  }

  @Test func aKeyThatCoolsDownIsDemotedAfterItsMinimumStay() {
    let rack = automaticRack()
    let (a, b) = (hash(homeOf: 1, of: 4, number: 1), hash(homeOf: 2, of: 4, number: 2))
    load(rack, [a: 2000, b: 2000], milliseconds: 300)
    #expect(rack.mode(a) == .hot)
    load(rack, [b: 2000], milliseconds: 2000)
    #expect(rack.mode(a) == .hot)
    load(rack, [b: 2000], milliseconds: 15000)
    #expect(rack.mode(a) == nil && rack.mode(b) == .hot)
  }

  @Test func aKeyPromotedByCommandStaysUntilItIsDemotedByCommand() {
    let rack = automaticRack()
    let (a, b) = (hash(homeOf: 1, of: 4, number: 1), hash(homeOf: 2, of: 4, number: 2))
    rack.promote(a)
    load(rack, [b: 1000], milliseconds: 10000)
    #expect(rack.mode(a) == .hot)
    rack.demote(a)
  }

  @Test func theNumberOfHotKeysIsBoundedAndTheColdestMakesRoom() {
    let rack = TestRack(servers: 4) {
      $0.policy.automatic = true
      $0.policy.hotKeysMax = 3
      $0.policy.minimumStay = 500_000_000
    }
    rack.serve()
    let keys = (0..<4).map { hash(homeOf: $0, of: 4, number: UInt64($0) + 1) }
    load(rack, [keys[0]: 500, keys[1]: 1000, keys[2]: 1000], milliseconds: 1500)
    #expect(rack.core.state.keys.count == 3)
    load(
      rack, [keys[0]: 500, keys[1]: 1000, keys[2]: 1000, keys[3]: 3000], milliseconds: 4000)
    #expect(rack.mode(keys[3]) == .hot && rack.mode(keys[0]) == nil)
    #expect(rack.core.state.keys.count == 3)
  }

  @Test func fewerSamplesAreAskedForWhenThereAreTooMany() {
    let rack = TestRack { $0.policy.samplesPerSecond = 1000 }
    rack.serve()
    load(rack, [5: 8000], milliseconds: 200)
    #expect(rack.core.state.sampleInterval >= 4)
    rack.run(milliseconds: 3000)
    #expect(rack.core.state.sampleInterval == 1)
  }
}
