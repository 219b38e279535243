using Microsoft.Win32.SafeHandles;

namespace Godwit.Storage.Interop;

/// <summary>An open file of the kernel, closed when the last call on it has returned.</summary>
/// <remarks>Its lock is let go of by word: it belongs to the opening, not to the descriptor, and a program that is just being
/// started holds a copy of every descriptor until its exec. Closing alone would leave the file locked for that long.</remarks>
internal sealed class FileHandle : SafeHandleMinusOneIsInvalid
{
    public FileHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    protected override bool ReleaseHandle()
    {
        var everything = new RecordLock { Type = RecordLock.Unlock };
        _ = LibC.Unlock((int)handle, LibC.SetOpeningLock, ref everything);
        return LibC.Close((int)handle) == 0;
    }
}
