namespace Godwit.Api.Workers;

/// <summary>Which file it is, whatever its name: survives a rename, and a file put in its place has another.</summary>
/// <param name="Inode">The inode number in its file system.</param>
/// <param name="Born">Birth time in nanoseconds since 1970, 0 where the file system keeps none: inode numbers are used again.</param>
public readonly record struct FileIdentity(long Inode, long Born);
