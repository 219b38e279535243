namespace Godwit.Storage.Files;

/// <content>Bytes on their way to a socket, without a copy.</content>
public sealed partial class LocalFile
{
    /// <inheritdoc/>
    public int TryMoveToPipe(long offset, int length, int pipe) =>
        _direct is not null || _closed || offset < 0 || length > Length - offset || !_file.IsCached(offset, length) ? 0 : _file.MoveToPipe(offset, length, pipe);
}
