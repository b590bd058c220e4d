"""From articulation to a face that speaks: the mouth's shapes, and the life of the rest of the face."""
