namespace Godwit.Api.Workers;

/// <summary>A mirror of one disk, as it stands now.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="State">Where it stands.</param>
/// <param name="TargetPath">Where the new file will be once switched.</param>
/// <param name="BytesCopied">Bytes written to the target by the background copy so far.</param>
/// <param name="BytesLeft">Bytes still differing.</param>
/// <param name="BytesVerified">Bytes read back and compared so far.</param>
/// <param name="BytesToVerify">Bytes to compare in all.</param>
/// <param name="Problem">Why it failed, or what it is waiting out.</param>
public sealed record MirrorStatus(
    Guid JobId,
    MirrorState State,
    string TargetPath,
    long BytesCopied,
    long BytesLeft,
    long BytesVerified,
    long BytesToVerify,
    Problem? Problem);
