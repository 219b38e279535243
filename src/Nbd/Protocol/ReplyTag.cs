namespace Godwit.Nbd.Protocol;

/// <summary>What a reply repeats of its request, so that the client finds out which one it answers.</summary>
/// <param name="Cookie">The client's number; opaque.</param>
/// <param name="Offset">The request's offset; on the wire with extended headers only.</param>
internal readonly record struct ReplyTag(ulong Cookie, ulong Offset);
