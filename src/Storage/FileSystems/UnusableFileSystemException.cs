namespace Godwit.Storage.FileSystems;

/// <summary>What a file system says about its free space must not be relied on. The message is the reason, for people.</summary>
internal sealed class UnusableFileSystemException(string reason) : Exception(reason);
