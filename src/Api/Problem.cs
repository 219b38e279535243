namespace Godwit.Api;

/// <summary>An error as it crosses a process boundary (RFC 9457 problem details with our code).</summary>
/// <param name="Code">What went wrong, for programs.</param>
/// <param name="Title">What went wrong, in a sentence for people; names the object.</param>
/// <param name="Remedy">What to do about it, if there is something to do.</param>
public sealed record Problem(ErrorCode Code, string Title, string? Remedy = null);
