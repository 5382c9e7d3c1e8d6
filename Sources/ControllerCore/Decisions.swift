internal import Directory
internal import KeyTemperature
internal import Wire

extension ControllerCore {
  /// Requests per second that one server would carry if all were spread evenly.
  private var fairRate: Double { policy.total.rate / Double(max(1, living.count)) }

  /// How many servers beside one that has it are to get each newest version of a key.
  private func copies(readShare: Double, rate: Double) -> Int {
    min(
      configuration.policy.copiesMax,
      Degree.copies(
        readShare: readShare, rate: rate, fairRate: fairRate, servers: living.count))
  }

  /// The policy's round: degrees of the hot keys, then who becomes hot and who no longer is.
  mutating func decide() {
    guard serving, recovery == nil, policy.isTimeToDecide(now) else { return }
    bans = bans.filter { $0.value > now }
    for entry in entries.inOrder where entry.mode == .hot && now >= entry.nextDegree {
      adaptDegree(entry)
    }
    guard policy.automatic else { return }
    coolDown()
    thinOut()
    heatUp()
  }

  /// All samples that were there have been told: what cannot wait for the next round is decided
  /// now. A key that has just become hot overloads its server every moment that it is not.
  mutating func drained(_ time: UInt64) {
    // It may have waited behind a tick.
    now = max(now, time)
    if let interval = policy.advance(to: now, servers: living.count) {
      publish(.setSampleInterval(interval))
    }
    guard policy.takeUrgent(), serving, recovery == nil, policy.automatic else { return }
    heatUp()
    beginWhatWaits()
  }

  private mutating func adaptDegree(_ entry: Entry) {
    entries.update(entry.keyHash) { $0.nextDegree = now + 200_000_000 }
    // A key without requests stays as it is.
    guard entry.rate >= 1 else { return }
    let copies = copies(readShare: entry.readShare, rate: entry.rate)
    // One copy more or less matters to a key with few of them only.
    guard abs(copies + 1 - entry.degree) >= max(1, entry.degree / 4) else { return }
    entries.update(entry.keyHash) {
      $0.degree = copies + 1
      $0.copies = UInt8(copies)
      $0.copyPause = 0
    }
    publish(.setCopies(entry: entry.index, UInt8(copies)))
  }

  private mutating func coolDown() {
    let (settings, fair) = (configuration.policy, fairRate)
    let limit = settings.demoteShare * fair
    guard limit > 0 else { return }
    // Where places run short, a key does not stay for what it was asked a while ago: that keeps
    // some free for keys that become hot suddenly.
    let room = settings.hotKeysMax - entries.count - requests.count
    let shortLimit = room < settings.hotKeysMax / 8 ? settings.promoteShare * fair / 2 : 0
    for entry in entries.inOrder
    where entry.mode == .hot && !entry.isPinned && entry.want == nil
      && (entry.rate <= limit || entry.recent.rate < shortLimit)
      && now >= entry.hotSince + settings.minimumStay
    {
      guard policy.takeMove(.demote) else { return }
      want(.demote, entry.keyHash, .policy)
    }
  }

  /// There are more hot keys than there may be, since fewer are allowed now than before.
  private mutating func thinOut() {
    let excess =
      entries.count - configuration.policy.hotKeysMax
      - entries.inOrder.count { $0.want == .demote }
    for _ in 0..<max(0, excess) {
      guard let coldest = coldest(except: []), policy.takeMove(.demote) else { return }
      want(.demote, coldest.keyHash, .policy)
    }
  }

  private mutating func heatUp() {
    var room = configuration.policy.hotKeysMax - entries.count - requests.count
    var replaced: Set<UInt64> = []
    // Places that become free in any case, for those who found none.
    var leaving =
      entries.inOrder.count { $0.want == .demote }
      + (batch?.items.count { $0.kind == .demote } ?? 0)
    for key in policy.candidates(servers: living.count)
    where entries[key.keyHash] == nil && bans[key.keyHash] == nil {
      guard !requests.contains(where: { $0.keyHash == key.keyHash }) else { continue }
      let rate = policy.rate(of: key)
      if room <= 0, leaving > 0 {
        leaving -= 1
        continue
      }
      if room <= 0 {
        // The place is taken from a key with less than half of its rate; the key itself comes in
        // a later round.
        guard let coldest = coldest(except: replaced), coldest.rate * 2 < rate,
          policy.takeMove(.promote)
        else { return }
        replaced.insert(coldest.keyHash)
        want(.demote, coldest.keyHash, .policy)
        continue
      }
      guard policy.takeMove(.promote) else { return }
      room -= 1
      let copies = copies(readShare: key.readShare, rate: rate)
      policy.wasPromoted(key.keyHash)
      requests.append(
        TransitionRequest(
          keyHash: key.keyHash, key: key.key, reason: .policy, degree: copies + 1,
          copies: UInt8(copies), time: now))
    }
  }

  private func coldest(except taken: Set<UInt64>) -> Entry? {
    entries.inOrder.filter {
      $0.mode == .hot && !$0.isPinned && $0.want == nil && !taken.contains($0.keyHash)
        && now >= $0.hotSince + configuration.policy.minimumStay
    }.min { $0.rate < $1.rate }
  }

  // MARK: Commands and collisions

  mutating func obey(_ command: ControllerCommand) {
    switch command {
    case .promote(let hash, let key): promote(hash, key)
    case .demote(let hash): demote(hash)
    case .demoteAll:
      requests.removeAll()
      for hash in entries.hashes { demote(hash) }
    case .retarget(let hash):
      makeTargets()
      want(.retarget, hash, .command)
    case .floor: floorWanted = true
    case .setAutomatic(let automatic): policy.automatic = automatic
    case .drain(let server): drain(server)
    case .add(let server): add(server)
    }
    beginWhatWaits()
  }

  private mutating func promote(_ hash: UInt64, _ key: [UInt8]) {
    guard bans[hash] ?? 0 <= now else {
      notice(.givenUp(.promote, keyHash: hash, key: key, reason: .banned))
      return
    }
    let isLeaving = batch?.items.contains { $0.keyHash == hash && $0.kind == .demote } == true
    if entries[hash] != nil, !isLeaving {
      entries.update(hash) {
        $0.isPinned = true
        if $0.want == .demote { $0.want = nil }
      }
      noteEntry(hash)
      return
    }
    let degree = min(3, living.count, configuration.policy.copiesMax + 1)
    requests.removeAll { $0.keyHash == hash }
    requests.append(
      TransitionRequest(
        keyHash: hash, key: key, reason: .command, degree: max(1, degree),
        copies: UInt8(max(0, degree - 1)), time: now))
  }

  private mutating func demote(_ hash: UInt64) {
    requests.removeAll { $0.keyHash == hash }
    entries.update(hash) { $0.isPinned = false }
    want(.demote, hash, .command)
    noteEntry(hash)
  }

  /// Two keys share this hash: only one of them could be hot, and the other would be refused.
  mutating func collide(_ hash: UInt64) {
    guard entries[hash] != nil else { return }
    guard entries[hash]?.want != .demote || entries[hash]?.wantReason != .collision else { return }
    entries.update(hash) { $0.isPinned = false }
    want(.demote, hash, .collision)
    noteEntry(hash)
    ban(hash)
    beginWhatWaits()
  }

  mutating func ban(_ hash: UInt64) {
    bans = bans.filter { $0.value > now }
    guard bans[hash] == nil else { return }
    guard bans.count < configuration.policy.bansMax else {
      notice(.banRefused(keyHash: hash))
      return
    }
    bans[hash] = now + configuration.times.ban
    noteBan(Ban(keyHash: hash, until: now + configuration.times.ban))
    totals.bans += 1
    notice(.banned(keyHash: hash, until: now + configuration.times.ban))
  }

  /// In a place whose ban is over. More than there are places are not written down.
  private mutating func noteBan(_ ban: Ban) {
    guard let place = bansNoted.firstIndex(where: { $0.keyHash == 0 || $0.until <= now }) else {
      return
    }
    bansNoted[place] = ban
    publish(.noteBan(place: place, ban))
  }
}
