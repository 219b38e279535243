using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Something the server had the device do, in the order in which it took effect.</summary>
/// <param name="Command">Reads, writes, trims, zeroing and growth.</param>
/// <param name="Offset">First byte; the new size for growth.</param>
/// <param name="Length">Bytes asked for.</param>
/// <param name="Bytes">What was read or written; fewer than asked for when it failed on the way.</param>
/// <param name="Failed">The device said that it could not.</param>
internal sealed record JournalEntry(NbdCommand Command, long Offset, long Length, byte[] Bytes, bool Failed = false);
