namespace Godwit.Storage.Files;

/// <summary>The run of data that was found last in a file.</summary>
/// <remarks>
/// <para>The kernel finds the end of a run by walking through it, page by page on some file systems. Who asks for one piece after
/// the other, as the blocks of an image do, would have the rest of the run walked through for every piece: 4 GiB in pieces of
/// 2 MiB take a minute that way.</para>
/// <para>Data stays data until the file's owner punches a hole or cuts the file; and to call data what is none any more is never
/// wrong, only less exact. Safe from any thread.</para>
/// </remarks>
internal sealed class KnownRun
{
    private readonly Lock _gate = new();
    private long _start;
    private long _end;
    private long _version;

    /// <summary>Changes with every <see cref="Forget"/>.</summary>
    public long Version
    {
        get
        {
            lock (_gate)
                return _version;
        }
    }

    /// <summary>Where the known run around an offset ends.</summary>
    public bool TryFindEnd(long offset, out long end)
    {
        lock (_gate)
        {
            end = _end;
            return offset >= _start && offset < _end;
        }
    }

    /// <summary>Remembers a run, unless a hole may have been made since a moment.</summary>
    /// <param name="version">From <see cref="Version"/>, before the file system was asked.</param>
    /// <param name="start">First byte of data.</param>
    /// <param name="end">The byte after the last one.</param>
    public void Note(long version, long start, long end)
    {
        lock (_gate)
        {
            if (version == _version)
                (_start, _end) = (start, end);
        }
    }

    /// <summary>To be called when a hole has been made, before anybody is told so.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            _version++;
            _end = _start;
        }
    }
}
