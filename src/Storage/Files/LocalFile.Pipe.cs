namespace Godwit.Storage.Files;

/// <content>Bytes on their way to a socket or from one, without a copy in between.</content>
public sealed partial class LocalFile
{
    /// <inheritdoc/>
    public int TryMoveToPipe(long offset, int length, int pipe) => CanMove(offset, length) && (NeverWaits(offset) || _file.IsCached(offset, length))
        ? _file.MoveToPipe(offset, length, pipe)
        : 0;

    /// <inheritdoc/>
    public bool TryMoveFromPipe(long offset, int length, int pipe) =>
        CanMove(offset, length) && !IsReadOnly && _file.TryMoveFromPipe(offset, length, pipe);

    private bool CanMove(long offset, int length) => _direct is null && !_closed && offset >= 0 && length <= Length - offset;

    /// <summary>Whether the file system keeps everything in memory, or cannot say what it has there: then asking page by page is for nothing,
    /// and reading would be no quicker than moving.</summary>
    private bool NeverWaits(long offset)
    {
        if (!_askedWhetherWaits)
        {
            Span<byte> one = stackalloc byte[1];
            _neverWaits |= _file.ReadCached(offset, one) < 0;
            _askedWhetherWaits = true;
        }

        return _neverWaits;
    }
}
