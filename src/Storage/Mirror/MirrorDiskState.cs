namespace Godwit.Storage.Mirror;

/// <summary>Where a mirror stands. The numbers go to logs and status replies and never change meaning.</summary>
public enum MirrorDiskState
{
    /// <summary>The sides differ where the bitmap is dirty; the background copy works on it.</summary>
    Copying = 0,

    /// <summary>Both sides hold the same bytes, and every write goes to both.</summary>
    InSync = 1,

    /// <summary>In sync, and both sides have been read back and compared.</summary>
    Verified = 2,

    /// <summary>The mirror has ended without success; the source goes on alone. Final.</summary>
    Failed = 3,
}
